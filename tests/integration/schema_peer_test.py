"""Random schemas and instances: our verdicts are those of Python's jsonschema, which shares no code with us."""

import json
import random
import subprocess

import jsonschema
import pytest
from gateway import BIN

NAMES = ["a", "b", "c", "foo", "longer_property_name"]
TYPES = ["null", "boolean", "number", "integer", "string", "array", "object"]
SCALARS = [None, True, False, 0, 1, -1, 1.0, 2, 3, 7, 0.5, 1.5, 2.5, 1e2, "", "a", "ab", "abc", "foo", "é", "x1", 9007199254740993]
SCHEMAS, INSTANCES = 600, 8


class Maker:
    def __init__(self, seed, draft):
        self.rng = random.Random(seed)
        self.definitions = "definitions" if draft == 7 else "$defs"
        self.keywords = [getattr(self, name) for name in dir(Maker) if name.startswith("make_")]
        self.keywords += [getattr(self, name) for name in dir(Maker) if name.startswith(f"in_{draft}_")]

    def value(self, depth):
        kind = self.rng.random()
        if depth == 0 or kind < 0.45:
            return self.rng.choice(SCALARS)
        if kind < 0.7:
            return [self.value(depth - 1) for _ in range(self.rng.randrange(4))]
        return {self.rng.choice(NAMES): self.value(depth - 1) for _ in range(self.rng.randrange(4))}

    def schema(self, depth, references=True):
        if depth < 0 or self.rng.random() < 0.1:
            return self.rng.choice([True, False, {"type": "integer"}, {"type": "string"}])
        made = {}
        for _ in range(self.rng.randrange(1, 4)):
            made |= self.rng.choice(self.keywords)(depth - 1)
        if references and self.rng.random() < 0.15:
            made["$ref"] = f"#/{self.definitions}/{self.rng.randrange(2)}"
        return made

    def whole(self):
        definitions = {str(i): self.plain(self.schema(1, references=False)) for i in range(2)}
        return {**self.plain(self.schema(3)), self.definitions: definitions}

    def plain(self, schema):
        """Booleans as objects, so that definitions can be added."""
        return schema if isinstance(schema, dict) else {} if schema else {"not": {}}

    def make_type(self, _):
        return {"type": self.rng.choice([self.rng.choice(TYPES), self.rng.sample(TYPES, 2)])}

    def make_choice(self, _):
        return self.rng.choice([{"const": self.value(2)}, {"enum": [self.value(2) for _ in range(3)]}])

    def make_number(self, _):
        word = self.rng.choice(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"])
        return {word: self.rng.choice([1, 2, 0.5, 3, 2.5])}

    def make_count(self, _):
        word = self.rng.choice(["Length", "Items", "Properties"])
        return {self.rng.choice(["min", "max"]) + word: self.rng.randrange(4)}

    def make_pattern(self, _):
        return {"pattern": self.rng.choice(["^a", "b$", "^[a-z]+$", "o{2}", "^(a|b)c?", "^[0-9a-f]{1,3}$"])}

    def make_properties(self, depth):
        return {"properties": {name: self.schema(depth, False) for name in self.rng.sample(NAMES, 2)}}

    def make_required(self, _):
        return {"required": self.rng.sample(NAMES, self.rng.randrange(1, 3))}

    def make_others(self, depth):
        word = self.rng.choice(["additionalProperties", "propertyNames", "not", "contains", "items"])
        return {word: self.schema(depth, False)}

    def make_patterns(self, depth):
        return {"patternProperties": {self.rng.choice(["^a", "o", "^[a-c]$"]): self.schema(depth, False)}}

    def make_unique(self, _):
        return {"uniqueItems": True}

    def make_several(self, depth):
        return {self.rng.choice(["allOf", "anyOf", "oneOf"]): [self.schema(depth, False), self.schema(depth, False)]}

    def make_if(self, depth):
        return {"if": self.schema(depth, False), "then": self.schema(depth, False), "else": self.schema(depth, False)}

    def in_7_dependencies(self, depth):
        return {"dependencies": {self.rng.choice(NAMES): self.rng.choice([["a", "b"], self.schema(depth, False)])}}

    def in_7_items(self, depth):
        return {"items": [self.schema(depth, False)], "additionalItems": self.schema(depth, False)}

    def in_2020_prefix(self, depth):
        return {"prefixItems": [self.schema(depth, False)]}

    def in_2020_contains(self, depth):
        return {"contains": self.schema(depth, False), self.rng.choice(["minContains", "maxContains"]): self.rng.randrange(3)}

    def in_2020_dependents(self, depth):
        return self.rng.choice([{"dependentRequired": {self.rng.choice(NAMES): ["a"]}},
                                {"dependentSchemas": {self.rng.choice(NAMES): self.schema(depth, False)}}])


@pytest.mark.parametrize(("draft", "peer"), [(2020, jsonschema.Draft202012Validator), (7, jsonschema.Draft7Validator)])
def test_random_schemas_mean_what_a_peer_says(tmp_path, draft, peer):
    maker = Maker(f"schemas {draft}", draft)
    groups = []
    for number in range(SCHEMAS):
        schema = maker.whole()
        instances = [maker.value(3) for _ in range(INSTANCES)]
        groups.append({"description": str(number), "schema": schema, "tests": [
            {"description": json.dumps(instance), "data": instance, "valid": peer(schema).is_valid(instance)}
            for instance in instances]})
    verdicts = [test["valid"] for group in groups for test in group["tests"]]
    assert 0.1 < sum(verdicts) / len(verdicts) < 0.9
    (tmp_path / "random.json").write_text(json.dumps(groups))
    done = subprocess.run([BIN / "tributaryctl", "schema", "suite", tmp_path, "--draft", "7" if draft == 7 else "2020-12"],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines() == [f"{len(verdicts)} of {len(verdicts)}"]
