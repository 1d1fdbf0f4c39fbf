"""
The peers, each as a server on a folder of its own. They come from Debian's packages (unpacked, not installed: nothing is
started and no user is made) and from the Go registry, into ~/.cache/tributary; Missing says why one cannot be had.
"""
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import peer_clients
import rig

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tributary"
RSYSLOG = ["rsyslog", "rsyslog-relp", "librelp0", "libestr0", "libfastjson4", "liblognorm5"]
RABBITMQ = ["rabbitmq-server", *("erlang-" + name for name in (
    "base", "asn1", "crypto", "public-key", "mnesia", "runtime-tools", "ssl", "eldap", "ftp", "tftp", "inets", "snmp", "os-mon",
    "parsetools", "syntax-tools", "tools", "xmerl"))]
COLLECTOR = "v0.155.0"
COLLECTOR_MODULES = ["go.opentelemetry.io/collector/" + name for name in (
    "otelcol", "receiver/otlpreceiver", "exporter/otlphttpexporter")] + [
        "github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"]
COLLECTOR_MAIN = r"""package main

import (
	"log"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

func components() (otelcol.Factories, error) {
	f := otelcol.Factories{Telemetry: otelconftelemetry.NewFactory()}
	var err error
	if f.Extensions, err = otelcol.MakeFactoryMap(filestorage.NewFactory()); err != nil {
		return f, err
	}
	if f.Receivers, err = otelcol.MakeFactoryMap(otlpreceiver.NewFactory()); err != nil {
		return f, err
	}
	f.Exporters, err = otelcol.MakeFactoryMap(otlphttpexporter.NewFactory())
	return f, err
}

func main() {
	settings := otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "collector", Version: "1"},
		Factories: components,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()}, DefaultScheme: "file",
		}},
	}
	if err := otelcol.NewCommand(settings).Execute(); err != nil {
		log.Fatal(err)
	}
}
"""


class Missing(Exception):
    """A peer that cannot be had here."""


def run(command, folder, seconds):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False,
                          env=dict(os.environ, GOFLAGS="-buildvcs=false -mod=mod", CGO_ENABLED="0"))
    if done.returncode:
        raise Missing(f"{' '.join(command[:3])}: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")


def cached(name, probe, make):
    """The folder of a peer, made by make(folder) unless probe is in it."""
    folder = CACHE / name
    if not (folder / probe).exists():
        new = CACHE / f"{name}.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        make(new)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    return folder


def from_debian(name, packages, probe):
    def make(folder):
        if not shutil.which("dpkg-deb") or not shutil.which("apt-get"):
            raise Missing("this is not Debian")
        run(["apt-get", "download", *packages], folder, 300)
        for package in folder.glob("*.deb"):
            run(["dpkg-deb", "-x", str(package), str(folder)], folder, 100)
            package.unlink()
        for script in folder.glob("usr/lib/erlang/**/bin/erl"):  # it knows no other place than the system's
            script.write_text(script.read_text().replace("ROOTDIR=/usr/lib/erlang", "ROOTDIR=${ERL_ROOTDIR:?}"))
    return cached(name, probe, make)


def collector_program():
    def make(folder):
        if not shutil.which("go"):
            raise Missing("Go is not installed: it is what builds the collector")
        (folder / "go.mod").write_text("module collector\n\ngo 1.24\n")
        (folder / "main.go").write_text(COLLECTOR_MAIN)
        for module in COLLECTOR_MODULES:
            run(["go", "get", f"{module}@{COLLECTOR}"], folder, 300)
        run(["go", "build", "-p", "1", "-o", "collector", "."], folder, 1500)
    return cached(f"collector-{COLLECTOR}", "collector", make) / "collector"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Peer:
    """A running peer: client speaks its protocol; nothing is taken from its queue."""

    synced = True
    process = None

    def start(self, command, seconds=60, **environment):
        log = self.folder / "log"
        with open(log, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen([str(part) for part in command], cwd=self.folder, stdout=out, stderr=out,
                                            env=dict(os.environ, **environment))
        rig.wait_for(f"{self.name} on its port", lambda: answers(self.port), seconds, lambda: self.process.poll() is None,
                     lambda: log.read_text()[:1500])
        time.sleep(0.5)

    def pid(self):
        return self.process.pid

    def stop(self):
        rig.stop(self.process)


class Rsyslog(Peer):
    """imrelp over TLS; the main queue is on disk. Its only action never gets through, so that messages stay in the queue."""

    client = peer_clients.Relp

    def __init__(self, bench, synced):
        self.name, self.synced = "rsyslog imrelp, disk queue", synced
        home = from_debian("bench-rsyslog", RSYSLOG, "usr/sbin/rsyslogd")
        libraries = home / "usr/lib/x86_64-linux-gnu"
        self.folder, self.port = bench.new_folder(), free_port()
        config = self.folder / "rsyslog.conf"
        config.write_text(f"""global(workDirectory="{self.folder}" maxMessageSize="64k" net.enableDNS="off")
main_queue(queue.type="Disk" queue.filename="main" queue.maxFileSize="64m" queue.size="100000000"
  queue.syncQueueFiles="{'on' if synced else 'off'}" queue.checkpointInterval="{1 if synced else 0}" queue.saveOnShutdown="on"
  queue.timeoutShutdown="10")
module(load="imrelp" tls.tlsLib="openssl")
input(type="imrelp" port="{self.port}" address="127.0.0.1" tls="on" tls.myCert="{bench.ca}/server.pem" tls.myPrivKey="{bench.ca}/server.key"
  tls.caCert="{bench.ca}/device-ca.pem" tls.authMode="certvalid" maxDataSize="64k")
action(type="omfwd" target="127.0.0.1" port="9" protocol="tcp" action.resumeRetryCount="-1" action.resumeInterval="3600")
""")
        self.start([home / "usr/sbin/rsyslogd", "-n", "-f", config, "-i", self.folder / "pid", "-M", libraries / "rsyslog"],
                   LD_LIBRARY_PATH=str(libraries))


class RabbitMq(Peer):
    """MQTT in websockets over TLS into a durable queue that nobody reads."""

    client = peer_clients.WebMqtt

    def __init__(self, bench, kind):
        self.name = f"RabbitMQ web-MQTT, {kind} queue"
        home = from_debian("bench-rabbitmq", RABBITMQ, "usr/lib/rabbitmq/bin/rabbitmq-server")
        server = next((home / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
        self.folder, self.port = bench.new_folder(), free_port()
        (self.folder / "plugins").write_text("[rabbitmq_web_mqtt].\n")
        (self.folder / "definitions.json").write_text(json.dumps({
            "vhosts": [{"name": "/"}], "users": [{"name": "guest", "password": "guest", "tags": ""}],
            "permissions": [{"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
            "queues": [{"name": "events", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {"x-queue-type": kind}}],
            "bindings": [{"source": "amq.topic", "vhost": "/", "destination": "events", "destination_type": "queue",
                          "routing_key": "events", "arguments": {}}]}))
        (self.folder / "rabbitmq.conf").write_text(f"""listeners.tcp = none
mqtt.listeners.tcp = none
web_mqtt.tcp.port = {free_port()}
web_mqtt.ssl.port = {self.port}
web_mqtt.ssl.certfile = {bench.ca}/server.pem
web_mqtt.ssl.keyfile = {bench.ca}/server.key
web_mqtt.ssl.cacertfile = {bench.ca}/server-ca.pem
loopback_users = none
load_definitions = {self.folder}/definitions.json
disk_free_limit.absolute = 1MB
""")
        erlang = home / "usr/lib/erlang"
        environment = dict(os.environ, PATH=f"{erlang}/bin:{os.environ['PATH']}", ERL_ROOTDIR=str(erlang), HOME=str(self.folder),
                                ERL_EPMD_PORT=str(free_port()))
        self.epmd = subprocess.Popen([next(erlang.glob("erts-*")) / "bin/epmd", "-address", "127.0.0.1"], env=environment)
        self.start([server / "sbin/rabbitmq-server"], 120, **{**environment, "RABBITMQ_NODENAME": "bench@localhost",
                   "RABBITMQ_DIST_PORT": str(free_port()), "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
                   "RABBITMQ_MNESIA_BASE": str(self.folder / "data"), "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
                   "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"), "RABBITMQ_PLUGINS_DIR": str(server / "plugins"),
                   "RABBITMQ_PID_FILE": str(self.folder / "pid"), "RABBITMQ_CONF_ENV_FILE": "/dev/null"})
        time.sleep(3)

    def pid(self):
        return int((self.folder / "pid").read_text())

    def stop(self):
        rig.stop(self.process)
        rig.stop(self.epmd)


class Collector(Peer):
    """OTLP over HTTP and TLS into a persistent queue (file storage), whose exporter reaches nobody."""

    client = peer_clients.Otlp

    def __init__(self, bench, synced):
        self.name, self.synced = "OpenTelemetry Collector, file storage", synced
        program = collector_program()
        self.folder, self.port = bench.new_folder(), free_port()
        (self.folder / "queue").mkdir()
        (self.folder / "config.yaml").write_text(f"""extensions:
  file_storage: {{directory: {self.folder}/queue, fsync: {str(synced).lower()}}}
receivers:
  otlp:
    protocols:
      http: {{endpoint: "127.0.0.1:{self.port}", tls: {{cert_file: {bench.ca}/server.pem, key_file: {bench.ca}/server.key}}}}
exporters:
  otlp_http:
    endpoint: http://127.0.0.1:9
    sending_queue: {{enabled: true, storage: file_storage, queue_size: 100000000, num_consumers: 1}}
    retry_on_failure: {{enabled: true, initial_interval: 1h, max_interval: 2h, max_elapsed_time: 0s}}
service:
  extensions: [file_storage]
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [otlp_http]}}
""")
        self.start([program, "--config", f"file:{self.folder}/config.yaml"])
