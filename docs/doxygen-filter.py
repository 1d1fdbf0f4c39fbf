"""
Input filter of docs/Doxyfile: turns the headers' plain comments into Doxygen's. A comment before a declaration belongs
to it and to those that follow without an empty line; one behind code belongs to what stands before it; the first of a
file is the file's; a section's (between dashes) belongs to what in it has no other. A field that has none is left to its
struct's.
"""
import re
import sys

TOKEN = re.compile(r"/\*.*?\*/|\n[ \t]*\n|\n|[^\n/]+|/", re.S)
DECLARATION = re.compile(r"^(TRIB_MUST_CHECK )?(int|void|bool|uint\d+_t|const char \*|enum \w+|struct \w+) ?\*?\w+\(")


def text_of(comment):
    return re.sub(r"\n\s*\*? ?", "\n * ", comment[2:-2]).strip(" *\n")


def convert(source):
    out, line, first, section, last = [], "", True, None, None
    for token in TOKEN.findall(source):
        if token.startswith("/*"):
            text = text_of(token)
            if text.startswith("clang-format"):
                continue
            if first:
                out.append(f"/** @file\n * {text} */")
                first = False
            elif text.startswith("---"):
                section = last = text.strip("- ")
            elif line.strip():
                out.append(f"/**< {text} */")
            else:
                out.append(f"/** {text} */")
                last = text
                line = "documented"
            continue
        if token.startswith("\n"):
            if "\n" in token[1:]:
                last = section
            if not line == "documented":
                line = ""
            out.append(token)
            continue
        if not line.strip() and last and DECLARATION.match(token):
            out.append(f"/** {last} */\n")
        line = token if line == "documented" and token.strip() else line + token
        out.append(token)
    return "\n".join(fields("".join(out).split("\n")))


def fields(lines):
    documented = False
    undone = {line.split()[1] for line in lines if line.startswith("#undef ")}
    for line in lines:
        several = re.match(r"^    ([\w ]+?) (\w+(?:, \w+)+);( /\*\*< .*\*/)?$", line)
        if several:
            kind, names, comment = several.groups()
            line = "    " + " ".join(f"{kind} {name};{comment or ' /**< See the struct. */'}" for name in names.split(", "))
        if line.startswith("#define ") and re.match(r"\w+", line[8:])[0] in undone:
            line = "/** Makes an enumerator of a row of the table. */\n" + line
        if re.match(r"^ {4}\w.*;$", line) and not documented:
            line += " /**< See the struct. */"
        documented = line.endswith("*/") and line.lstrip().startswith(("/**", "*"))
        yield line


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.stdout.write(convert(file.read()))
