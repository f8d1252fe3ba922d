//! What a section of an upstream may say.

use portcullis_tests::plan;

#[test]
fn a_list_of_replicas_that_makes_no_sense_is_refused_with_its_place() {
    let a = "{ name = 'a', url = 'http://127.0.0.1:1' }";
    let b = "{ name = 'b', url = 'http://127.0.0.1:2' }";
    let heavy = "{ name = 'c', url = 'http://127.0.0.1:3', weight = 2 }";
    let upstream = |replicas: &[&str], more: &str| {
        format!("[upstream.u]\nreplica = [{}]\n{more}", replicas.join(", "))
    };
    for (config, expected) in [
        (
            upstream(&[], ""),
            "gateway.toml:2:11: upstream.u.replica: at least one replica is needed",
        ),
        (
            upstream(&[a, a], ""),
            "gateway.toml:2:65: upstream.u.replica[1].name: another replica of this upstream is named `a`, too",
        ),
        (
            upstream(&[a, heavy], ""),
            "gateway.toml:2:107: upstream.u.replica[1].weight: a weight counts only in an order that weighs: \
             \"weighted\", \"least_request\", \"peak_ewma\" or \"hash\"",
        ),
        (
            upstream(&[a], "failover = { max_attempts = 2 }"),
            "gateway.toml:3:12: upstream.u.failover: there is only one replica, so there is no other to go to",
        ),
        (
            upstream(&[a, b], "failover = { per_try = '1s' }"),
            "gateway.toml:3:12: upstream.u.failover.per_try: the time of an attempt is bounded by `timeouts`: \
             `connect`, `tls_handshake`, and `response_header`, which begins at the end of the request",
        ),
        (
            upstream(&[a, b], "circuit_breaker = { window = { calls = 5, minimum_calls = 9 } }"),
            "gateway.toml:3:30: upstream.u.circuit_breaker.window: ",
        ),
    ] {
        let listener = "\n[[listener]]\naddress = '127.0.0.1:0'\n";
        let problems = plan(&format!("{config}{listener}")).unwrap_err();

        assert!(problems.contains(expected), "{problems}");
    }
}
