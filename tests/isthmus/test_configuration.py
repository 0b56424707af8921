"""The configuration file: defaults, and every mistake named by its key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.configuration import Configuration, read_configuration
from isthmus.errors import InvalidConfiguration, IsthmusError
from isthmus.node_settings import cloud_settings, edge_settings
from nodes.batching import BatchLimits
from nodes.byte_budget import MOST_CLIENT_BYTES, MOST_HELD_BYTES
from nodes.configured_policies import LATENCY_FOR_ALL
from nodes.limits import CLOUD_LIMITS, EDGE_LIMITS
from scheduler.autoscaling import AutoscalingRule

MODELS = "models: [{name: m, source: 'a:b'}]\n"
LB = "cloud: {advertise: '10.0.0.1:443', "


def read(tmp_path: Path, text: str):  # type: ignore[no-untyped-def]
    path = tmp_path / "isthmus.yaml"
    path.write_text(text)
    return read_configuration(path)


def test_only_models_is_required(tmp_path: Path) -> None:
    made = read(tmp_path, MODELS)
    assert (made.edge.listen, made.edge.runtime, made.cloud.replicas) == ("127.0.0.1:8001", "ray", 1)
    assert made.link is None
    assert (made.policy.name, made.policy.options) == ("latency", {})


def test_a_policy_is_a_name_or_a_name_with_its_options(tmp_path: Path) -> None:
    made = [read(tmp_path, MODELS + f"policy: {text}").policy for text in ("slo", "{name: slo, deadline: 200ms}")]
    assert [(one.name, one.options) for one in made] == [("slo", {}), ("slo", {"deadline": "200ms"})]


def test_models_and_request_classes_have_policies_of_their_own(tmp_path: Path) -> None:
    text = (
        "models: [{name: a, source: 'x:y', policy: edge-only}, {name: b, source: 'x:y'}]\n"
        "request_classes: {alarm: {name: slo, deadline: 200ms}, batch: cost}\n"
    )
    made = read(tmp_path, text)
    first, second = made.models
    assert first.policy is not None
    assert (first.policy.name, second.policy) == ("edge-only", None)
    assert {name: (one.name, one.options) for name, one in made.request_classes.items()} == {
        "alarm": ("slo", {"deadline": "200ms"}),
        "batch": ("cost", {}),
    }


def test_link_takes_quantities_as_people_write_them(tmp_path: Path) -> None:
    link = read(tmp_path, MODELS + "link: {bandwidth: 20mbps, rtt: 30ms, uplink: 5mbps}").link
    assert (link.uplink_bps, link.downlink_bps, link.rtt) == (5e6, 20e6, 0.03)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a mapping"),
        ("models: []", "models"),
        ("{]", "not YAML"),
        (MODELS + "edgee: {}", "edgee: is not a key"),
        (MODELS + "edge: {thread: 1}", "edge.thread: is not a key"),
        (MODELS + "edge: {threads: 0}", "edge.threads"),
        (MODELS + "cloud: {engine: warp}", "cloud.engine"),
        (MODELS + "edge: {listen: nowhere}", "127.0.0.1:8001"),
        (MODELS + "link: {bandwidth: .nan}", "is not a quantity"),
        (MODELS + "link: {bandwidth: 20}", "write 20mbps, 20kbps or 20bit/s"),
        (MODELS + "link: {bandwidth: 20furlongs}", "furlongs"),
        (MODELS + "link: {rtt: 30ms}", "link.uplink: is missing"),
        (MODELS + "edge: {emulate_slowdown: 0.5}", "edge.emulate_slowdown"),
        (MODELS + "edge: {hedge_percentile: 50}", "edge.hedge_percentile"),
        (MODELS + "edge: {hedge_percentile: 100}", "edge.hedge_percentile"),
        (MODELS + "cloud: {batching: {max_batch: 0}}", "cloud.batching.max_batch"),
        (
            MODELS + "cloud: {autoscaling: {min_replicas: 5}}",
            "cloud.autoscaling.min_replicas: is above max_replicas, 4",
        ),
        (MODELS + "cloud: {autoscaling: {max_replicas: 0}}", "cloud.autoscaling.max_replicas"),
        (MODELS + "cloud: {autoscaling: {target_queue: 0}}", "cloud.autoscaling.target_queue"),
        (MODELS + "cloud: {autoscaling: {}, runtime: process}", "cloud.autoscaling: needs Ray Serve"),
        (MODELS + "cloud: {autoscaling: {}, replicas: 2}", "cloud.replicas: is what autoscaling decides"),
        (MODELS + "cloud: {autoscaling: {}, listen: '127.0.0.1:9'}", "cloud.listen: is one port for 4 replicas"),
        (MODELS + "cloud: {engine: paced}", "cloud.paced_by: goes with engine: paced"),
        (MODELS + "edge: {engine: paced}", "edge.engine"),
        (MODELS + "cloud: {batching: {max_delay: 2s}}", "cloud.batching.max_delay"),
        (MODELS + "edge: {batching: {max_delay: soon}}", "batching.max_delay"),
        (MODELS + "edge: {batching: {size: 3}}", "edge.batching.size: is not a key"),
        (MODELS + "edge: {limits: {message: 2GiB}}", "edge.limits.message"),
        (MODELS + "edge: {limits: {queue: 0}}", "edge.limits.queue"),
        (MODELS + "cloud: {limits: {tensor: 5 apples}}", "apples"),
        (MODELS + "cloud: {limits: {streams: 5}}", "cloud.limits.streams: is not a key"),
        (MODELS + "cloud: {limits: {memory: 0}}", "cloud.limits.memory"),
        (MODELS + "edge: {limits: {streams: 5}}", "edge.limits.streams: is not a key"),
        (MODELS + "cloud: {route: {a: b}}", "cloud.route: needs an address"),
        (MODELS + "cloud: {connection_age: 5m}", "cloud.connection_age: needs an address"),
        (MODELS + LB + "route: {a: b}, connection_age: 5m}", "cloud.connection_age: does not go with route"),
        (MODELS + LB + "connection_age: 0s}", "cloud.connection_age"),
        (MODELS + LB + "replicas: 2}", "cloud.advertise: is one address for 2 replicas"),
        (MODELS + LB + "route: {a: '{pod}'}}", "cloud.route: has a place that there is not"),
        (MODELS + LB + "route: {a: '{address.__class__}'}}", "cloud.route: has a place that there is not"),
        (MODELS + LB + "route: {grpc-timeout: '1'}}", "cloud.route: is gRPC's own"),
        (MODELS + LB + "route: {x-bin: '1'}}", "cloud.route: is gRPC's own"),
        (MODELS + LB + "route: {X: '1'}}", "cloud.route"),
        (MODELS + LB + "route: {x: 'ö'}}", "cloud.route"),
        (MODELS + "cloud: {address: nowhere}", "127.0.0.1:8001"),
        (MODELS + "cloud: {address: auto, runtime: process}", "cloud.address: is of a Ray cluster"),
        (MODELS + "cloud: {cpus: 0}", "cloud.cpus"),
        (MODELS + "cloud: {start_timeout: 0s}", "cloud.start_timeout"),
        (MODELS + "cloud: {cpus: 2, runtime: process}", "cloud.cpus: is of a replica on Ray (got 'process'); use"),
        (MODELS + "cloud: {name: shop}", "cloud.name: is of a cloud on a Ray cluster (got 'shop'); set cloud.address"),
        (MODELS + "cloud: {address: auto, name: 'a@b'}", "cloud.name"),
        (MODELS + "edge: {tls: {certificate: c, key: k, server_name: cloud}}", "edge.tls.server_name: is of the cloud"),
        (MODELS + "cloud: {model_memory: 0}", "cloud.model_memory"),
        ("models: [{name: m, source: a, versions: ['']}]", "models.0.versions.0"),
        (MODELS + "policy: 3", "policy"),
        (MODELS + "policy: {name: ''}", "policy.name"),
        (MODELS + "request_classes: {alarm: 3}", "request_classes.alarm"),
        (MODELS + "request_classes: {'': slo}", "request_classes"),
        (MODELS + "request_classes: [slo]", "request_classes"),
        ("models: [{name: m, source: a, policy: {name: ''}}]", "models.0.policy.name"),
        (MODELS + "policy: {name: latency, switch_cost: 2024-99-99}", "not YAML"),
        (MODELS + "policy: " + "[" * 1200, "not YAML"),
        ("models: [{name: m, source: a}, {name: m, source: b}]", "one name"),
        ("models: [{name: '../m', source: a}]", "models.0.name"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        read(tmp_path, text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        read_configuration(tmp_path / "none.yaml")


def test_each_side_names_its_engine(tmp_path: Path) -> None:
    read_in = read(tmp_path, MODELS + "cloud: {engine: onnxruntime}")
    assert (read_in.edge.engine, read_in.cloud.engine) == ("eager", "onnxruntime")


@pytest.mark.parametrize(
    ("side", "key"),
    [
        ("edge", "listen"),
        ("edge", "metrics_listen"),
        ("edge", "page_listen"),
        ("cloud", "listen"),
        ("cloud", "metrics_listen"),
        ("cloud", "registry_listen"),
    ],
)
def test_a_port_that_others_reach_is_secured_or_said_not_to_be(tmp_path: Path, side: str, key: str) -> None:
    with pytest.raises(InvalidConfiguration, match=rf"{side}\.{key}: .*insecure: true"):
        read(tmp_path, MODELS + f"{side}: {{{key}: '0.0.0.0:9000'}}")
    read(tmp_path, MODELS + f"{side}: {{{key}: '0.0.0.0:9000', insecure: true}}")
    read(tmp_path, MODELS + f"{side}: {{{key}: '0.0.0.0:9000', tls: {{certificate: c.pem, key: c.key}}}}")


def test_metrics_are_off_unless_asked_for(tmp_path: Path) -> None:
    assert (read(tmp_path, MODELS).edge.metrics_listen, read(tmp_path, MODELS).cloud.metrics_listen) == (None, None)
    made = read(tmp_path, MODELS + "edge: {metrics_listen: '127.0.0.1:9464'}")
    assert made.edge.metrics_listen == "127.0.0.1:9464"


def test_how_many_replicas_is_a_fixed_number_or_a_rule(tmp_path: Path) -> None:
    assert read(tmp_path, MODELS + "cloud: {replicas: 3}").cloud.rule == AutoscalingRule.fixed(3)
    text = "cloud: {autoscaling: {min_replicas: 0, max_replicas: 8, target_queue: 200ms, scale_down_after: 30s}}"
    assert read(tmp_path, MODELS + text).cloud.rule == AutoscalingRule(0, 8, 0.2, 30.0)


def test_several_replicas_may_share_an_address_behind_what_picks_one(tmp_path: Path) -> None:
    routed = read(tmp_path, MODELS + LB + "replicas: 2, route: {x-replica: '{address}/{replica}'}}").cloud
    assert (routed.route, routed.connection_age) == ({"x-replica": "{address}/{replica}"}, None)
    assert read(tmp_path, MODELS + LB + "replicas: 2, connection_age: 5m}").cloud.connection_age == 300.0


def test_replicas_do_not_share_a_port_for_metrics(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"cloud\.metrics_listen: is one port for 2 replicas .*port 0"):
        read(tmp_path, MODELS + "cloud: {replicas: 2, metrics_listen: '127.0.0.1:9465'}")
    read(tmp_path, MODELS + "cloud: {replicas: 2, metrics_listen: '127.0.0.1:0'}")


def test_tls_files_are_looked_up_beside_the_configuration(tmp_path: Path) -> None:
    tls = read(tmp_path, MODELS + "edge: {tls: {certificate: c.pem, key: /etc/c.key}}").edge.tls
    assert (tls.certificate, tls.key, tls.authority) == (str(tmp_path / "c.pem"), "/etc/c.key", "")


def test_batching_is_on_within_limits_unless_said_otherwise(tmp_path: Path) -> None:
    made = read(
        tmp_path, MODELS + "cloud: {batching: {max_batch: 16, max_delay: 2ms}}\nedge: {batching: {max_batch: 1}}"
    )
    assert made.cloud.batching.limits == BatchLimits(16, 0.002)
    assert made.edge.batching.limits == BatchLimits(1, 0.005)


def test_the_memory_for_kept_tensors_is_a_size() -> None:
    assert (
        Configuration.model_validate(
            {"models": [{"name": "m", "source": "x:y"}], "edge": {"kept_memory": "64MB"}}
        ).edge.kept_memory
        == 64_000_000
    )


def test_limits_are_read_and_those_left_out_have_defaults(tmp_path: Path) -> None:
    made = read(
        tmp_path, MODELS + "cloud: {limits: {message: 2GB, queue: 7}}\nedge: {limits: {tensor: 1MB, connections: 3}}"
    )
    assert made.cloud.limits.of_node == replace(CLOUD_LIMITS, message_bytes=2_000_000_000, queue=7)
    assert made.edge.limits.of_node == replace(EDGE_LIMITS, tensor_bytes=1_000_000, connections=3)
    assert made.cloud.limits.memory == MOST_HELD_BYTES
    assert made.edge.limits.memory == MOST_CLIENT_BYTES


def test_a_replica_is_started_with_the_memory_that_it_may_hold(tmp_path: Path) -> None:
    made = read(tmp_path, MODELS + "cloud: {limits: {memory: 500MB}}")
    assert cloud_settings(made, (), "127.0.0.1:1").held_bytes == 500_000_000


def test_nodes_may_take_so_long_to_start_as_the_file_says(tmp_path: Path) -> None:
    made = read(tmp_path, MODELS + "cloud: {start_timeout: 10m}\nedge: {start_timeout: 300s}")
    assert cloud_settings(made, (), "127.0.0.1:1").start_limit_s == 600.0
    assert edge_settings(made, (), "127.0.0.1:1", LATENCY_FOR_ALL).start_limit_s == 300.0
    made = read(tmp_path, MODELS)
    assert cloud_settings(made, (), "127.0.0.1:1").start_limit_s == 120.0
