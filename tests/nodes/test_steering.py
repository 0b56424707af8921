"""Which policies are the configuration file's, and which an operator's."""

from __future__ import annotations

from nodes.steering import EVERYTHING, PolicySetting, Scope, Steering

LATENCY, EDGE_ONLY, ENERGY = PolicySetting("latency"), PolicySetting("edge-only"), PolicySetting("energy")
ALARM, LOG = Scope("", "alarm"), Scope("", "log")
FILE = {EVERYTHING: LATENCY, ALARM: ENERGY}
AS_CONFIGURED = Steering(FILE, configured=FILE)


def test_what_is_as_the_file_says_is_nobody_elses() -> None:
    assert AS_CONFIGURED.by_operator == {}
    assert AS_CONFIGURED.with_policy(LOG, ENERGY).without_policy(LOG).by_operator == {}


def test_what_was_set_and_what_was_taken_back_is_an_operators() -> None:
    changed = AS_CONFIGURED.with_policy(LOG, EDGE_ONLY).without_policy(ALARM)
    assert changed.by_operator == {LOG: EDGE_ONLY, ALARM: None}


def test_where_the_file_is_not_known_nothing_is_told() -> None:
    assert Steering({EVERYTHING: EDGE_ONLY}).by_operator == {}


def test_the_next_file_replaces_what_it_does_not_say_itself() -> None:
    changed = AS_CONFIGURED.with_policy(LOG, EDGE_ONLY).with_policy(EVERYTHING, EDGE_ONLY).without_policy(ALARM)
    assert changed.replaced_by(FILE) == "all requests: edge-only; class log: edge-only; class alarm: taken back"
    assert changed.replaced_by({EVERYTHING: EDGE_ONLY, LOG: EDGE_ONLY}) == ""
    assert AS_CONFIGURED.replaced_by({EVERYTHING: ENERGY}) == ""
