//! What a configuration file may say, and what is said of one that is wrong.

use std::path::Path;
use std::process::{Output, Stdio};

use portcullis_tests::{Process, Upstream, ask, plan};
use tempfile::TempDir;
use tokio::process::Command;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

/// A file in which nothing is wrong. The tests put one thing in place of another.
const RIGHT: &str = r#"[[listener]]
address = "127.0.0.1:0"

[credentials.photos]
access_key = "AKIDEXAMPLE"
secret_key = "the-secret-of-the-bucket"

[issuer.accounts]
audience = ["photos"]
keys = [{ secret = "the-secret-of-the-issuer-01234567", algorithms = ["HS256"] }]

[upstream.photos]
replica = [{ name = "primary", url = "http://127.0.0.1:9000/photos" }]
sigv4_sign = { service = "s3", region = "eu-west-1", credentials = "photos" }

[[route]]
path = "/photos"
upstream = "photos"
jwt_auth = { issuers = ["accounts"] }
header_inject = { request = [{ set = "x-feature", value = "the-secret-of-the-header", secret = true }] }
"#;

fn with(right: &str, instead: &str) -> String {
    assert!(RIGHT.contains(right), "{right} is not in the file");
    RIGHT.replacen(right, instead, 1)
}

/// The file with one more line, after that of the route's upstream: line 19.
fn with_route_line(line: &str) -> String {
    with("upstream = \"photos\"\n", &format!("upstream = \"photos\"\n{line}\n"))
}

fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.toml"), config).unwrap();
    folder
}

/// Runs the gateway in `folder` to its end, with these variables and no others.
async fn portcullis(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(GATEWAY);
    command.args(arguments).current_dir(folder).env_clear().envs(variables.iter().copied());
    command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap()
}

async fn check(config: &str) -> Output {
    portcullis(folder(config).path(), &["check", "gateway.toml"], &[]).await
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap().trim_end()
}

/// What `check` says of a file that is wrong, a line each problem.
async fn complaint(config: &str) -> String {
    let output = check(config).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
    text(&output.stderr).to_owned()
}

#[tokio::test]
async fn a_right_file_is_said_to_be_right() {
    let output = check(RIGHT).await;

    assert_eq!(text(&output.stderr), "");
    assert_eq!(text(&output.stdout), "gateway.toml: right");
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
    let complaint = complaint(&with_route_line("strip_prefx = true")).await;

    let expected = "gateway.toml:19:1: route[0].strip_prefx: unknown key `strip_prefx`; did you mean \
        `strip_prefix`?";
    assert_eq!(complaint, expected);
}

#[tokio::test]
async fn an_unknown_section_is_named_with_the_nearest_known_one() {
    let complaint = complaint(&with("[upstream.", "[upsteam.")).await;

    let expected = "gateway.toml:12:2: upsteam: unknown key `upsteam`; did you mean `upstream`?";
    assert_eq!(complaint, expected);
}

#[tokio::test]
async fn a_name_of_no_section_is_named_with_the_nearest_that_there_is() {
    for (right, wrong, expected) in [
        (
            "upstream = \"photos\"",
            "upstream = \"photo\"",
            "18:12: route[0].upstream: there is no section `[upstream.photo]`; did you mean `photos`?",
        ),
        (
            "[\"accounts\"]",
            "[\"acounts\"]",
            "19:25: route[0].jwt_auth.issuers[0]: there is no section `[issuer.acounts]`; did you mean \
             `accounts`?",
        ),
        (
            "credentials = \"photos\"",
            "credentials = \"fotos\"",
            "14:68: upstream.photos.sigv4_sign.credentials: there is no section `[credentials.fotos]`; did \
             you mean `photos`?",
        ),
        (
            "upstream = \"photos\"",
            "upstream = \"elsewhere\"",
            "18:12: route[0].upstream: there is no section `[upstream.elsewhere]`",
        ),
    ] {
        assert_eq!(complaint(&with(right, wrong)).await, format!("gateway.toml:{expected}"));
    }
}

#[tokio::test]
async fn a_url_that_no_replica_can_have_is_refused_without_its_password() {
    for url in
        ["ftp://127.0.0.1/", "127.0.0.1:9000", "http://user:the-secret@127.0.0.1/", "http://a/?b"]
    {
        let complaint = complaint(&with("http://127.0.0.1:9000/photos", url)).await;

        let expected = "gateway.toml:13:38: upstream.photos.replica[0].url: a URL like \
            `https://api.example.com:8443/base`: scheme http or https, host, no user, no query";
        assert_eq!(complaint, expected, "{url}");
    }
}

#[tokio::test]
async fn what_is_no_duration_is_told_what_one_looks_like() {
    for (line, place) in [
        ("timeout = \"soon\"", "19:11: route[0].timeout"),
        ("timeout = \"0s\"", "19:11: route[0].timeout"),
        ("[drain]\ndeadline = \"soon\"", "20:12: drain.deadline"),
    ] {
        let config = if line.starts_with('[') {
            // A table ends the route, so what follows it goes.
            let lines = RIGHT.lines().take(18).collect::<Vec<_>>().join("\n");
            format!("{lines}\n{line}\n")
        } else {
            with_route_line(line)
        };
        let complaint = complaint(&config).await;

        assert!(complaint.starts_with(&format!("gateway.toml:{place}: a duration")), "{complaint}");
        assert!(complaint.contains("\"250ms\", \"30s\" or \"5m\""), "{complaint}");
    }
}

#[tokio::test]
async fn what_is_no_address_is_told_what_one_looks_like() {
    let complaint = complaint(&with("127.0.0.1:0", "localhost")).await;

    let expected = "gateway.toml:2:11: listener[0].address: an address with its port, like \
        \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:PATH\", or \"systemd:NAME\"";
    assert_eq!(complaint, expected);
}

#[tokio::test]
async fn a_header_that_is_protected_is_not_set_in_passing() {
    let complaint = complaint(&with("x-feature", "authorization")).await;

    let expected = "gateway.toml:20:30: route[0].header_inject.request[0]: `authorization` is \
        protected: say `allow_protected` to change it";
    assert_eq!(complaint, expected);
}

#[tokio::test]
async fn a_header_value_that_is_none_is_refused_and_not_printed() {
    for value in ["\"the-secret\\n\"", "[\"the-secret\"]", "8675309", "\"the-secret-ü\""] {
        let complaint = complaint(&with("\"the-secret-of-the-header\"", value)).await;

        let place = "gateway.toml:20:30: route[0].header_inject.request[0]: the value of \
            `x-feature` m";
        assert!(complaint.starts_with(place), "{complaint}");
        assert!(!complaint.contains("the-secret") && !complaint.contains("8675309"), "{complaint}");
    }
}

#[tokio::test]
async fn a_header_value_that_comes_from_nowhere_does_not_start() {
    let complaint =
        complaint(&with("value = \"the-secret-of-the-header\"", "from = \"nobody\"")).await;

    let expected = "20:17: route[0].header_inject: `x-feature` comes from \"nobody\": a source is a \
        claim, as in \"claim:sub\", \"client_certificate:subject\", ";
    assert!(complaint.contains(expected), "{complaint}");
}

#[tokio::test]
async fn signatures_that_nobody_could_make_do_not_start() {
    let verify = |rest: &str| {
        format!("upstream = \"photos\"\nsigv4_verify = {{ service = \"s3\", {rest} }}")
    };
    for (rest, expected) in [
        ("credentials = []", "sigv4_verify.credentials: no credentials, so nobody could sign"),
        ("credentials = [\"fotos\"]", "did you mean `photos`?"),
        ("credentials = [\"photos\"]", "one `Authorization`: this one or `jwt_auth`, not both"),
        ("credentials = [\"photos\"], region = 1", "unknown key `region`"),
        ("regions = []", "missing key `credentials`"),
    ] {
        let complaint = complaint(&with("upstream = \"photos\"", &verify(rest))).await;

        assert!(complaint.contains(expected), "{rest}: {complaint}");
    }
}

#[tokio::test]
async fn keys_that_come_from_nowhere_or_from_two_places_do_not_start() {
    let keys = "access_key = \"AKIDEXAMPLE\"\nsecret_key = \"the-secret-of-the-bucket\"";
    for (wrong, expected) in [
        ("", "exactly one is needed: `access_key` and `secret_key`, `profile_file`"),
        ("environment = true\ndefault_chain = true", "exactly one is needed"),
        ("profile_file = \"keys\"\ndefault_chain = true", "exactly one is needed"),
        (
            "environment = true\nprofile = \"a\"",
            "`profile` is of a `profile_file`, or of `default_chain`",
        ),
        ("environment = true\nregion = \"a\"", "`region` is for `default_chain` alone"),
        ("access_key = \"AKIDEXAMPLE\"", "`access_key` and `secret_key` go together"),
    ] {
        let complaint = complaint(&with(keys, wrong)).await;

        assert!(complaint.contains(&format!("credentials.photos: {expected}")), "{complaint}");
    }
}

/// The tests against peers have the feature.
#[cfg(not(feature = "peers"))]
#[tokio::test]
async fn a_feature_that_is_missing_is_named() {
    let keys = "access_key = \"AKIDEXAMPLE\"\nsecret_key = \"the-secret-of-the-bucket\"";
    let complaint = complaint(&with(keys, "default_chain = true")).await;

    let expected = "`default_chain` needs a program that is built with the feature `aws-config`";
    assert!(complaint.ends_with(expected), "{complaint}");
}

#[tokio::test]
async fn auth_without_a_usable_key_does_not_start() {
    let folder = folder(RIGHT);
    std::fs::write(folder.path().join("none.json"), r#"{"keys":[]}"#).unwrap();
    let key = r#"{ secret = "the-secret-of-the-issuer-01234567", algorithms = ["HS256"] }"#;

    for (right, wrong, expected) in [
        ("[\"accounts\"]", "[]", "19:12: route[0].jwt_auth: no issuer is trusted"),
        (key, "", "19:12: route[0].jwt_auth: the issuer has no key"),
        (
            "the-secret-of-the-issuer-01234567",
            "the-secret",
            "10:8: issuer.accounts.keys[0]: a secret for HS256 needs 32 bytes",
        ),
        (
            key,
            "{ jwks = \"none.json\" }",
            "10:8: issuer.accounts.keys[0]: none.json: no usable key in the set, 0 skipped",
        ),
        (
            key,
            "{ jwks = \"nowhere.json\" }",
            "10:8: issuer.accounts.keys[0]: cannot read nowhere.json: No such file or directory \
             (os error 2)",
        ),
        (
            key,
            "{ algorithms = [\"HS256\"] }",
            "10:8: issuer.accounts.keys[0]: exactly one of `secret`, `pem` and `jwks` is needed",
        ),
    ] {
        std::fs::write(folder.path().join("gateway.toml"), with(right, wrong)).unwrap();
        let output = portcullis(folder.path(), &["check", "gateway.toml"], &[]).await;

        assert_eq!(text(&output.stderr), format!("gateway.toml:{expected}"));
        assert_eq!(output.status.code(), Some(2));
    }
}

#[tokio::test]
async fn tls_without_its_certificate_does_not_start() {
    let tls = "address = \"127.0.0.1:0\"\ntls = { certificate = \"here.pem\", key = \"key.pem\" }";

    let complaint = complaint(&with("address = \"127.0.0.1:0\"", tls)).await;

    let expected = "gateway.toml:3:7: listener[0].tls: cannot read here.pem: ";
    assert!(complaint.starts_with(expected), "{complaint}");
}

#[tokio::test]
async fn a_file_without_a_listener_is_wrong() {
    let complaint = complaint(&with("[[listener]]\naddress = \"127.0.0.1:0\"\n", "")).await;

    let expected = "gateway.toml: listener: no `[[listener]]`, so nobody could connect";
    assert_eq!(complaint, expected);
}

#[tokio::test]
async fn routes_that_cannot_be_told_apart_are_refused() {
    let config = format!("{RIGHT}\n[[route]]\npath = \"/photos/\"\nupstream = \"photos\"\n");

    let complaint = complaint(&config).await;

    let expected = "gateway.toml:22:1: route[1]: matches the same requests as route[0]";
    assert_eq!(complaint, expected);
}

#[tokio::test]
async fn a_path_that_no_request_could_have_is_refused_where_it_stands() {
    for (path, expected) in [
        ("photos", "a path begins with `/`"),
        ("/a%20b", "a path is written as it reads, decoded, without `%`, `\\`, `?` and `#`"),
        ("/a/../b", "a path has no empty segment, no `.` and no `..`"),
        ("/a//b", "a path has no empty segment, no `.` and no `..`"),
    ] {
        let complaint = complaint(&with("path = \"/photos\"", &format!("path = '{path}'"))).await;

        assert_eq!(complaint, format!("gateway.toml:17:8: route[0].path: {expected}"));
    }
}

#[tokio::test]
async fn what_is_no_host_is_refused_where_it_stands() {
    let complaint = complaint(&with_route_line("hosts = [\"a.test\", \"a b\"]")).await;

    let expected = "gateway.toml:19:20: route[0].hosts[1]: a host like \"example.com\" or \
        \"*.example.com\" is needed here";
    assert_eq!(complaint, expected);
}

#[tokio::test]
async fn what_is_no_toml_is_refused_where_it_stops_being_any() {
    let complaint = complaint(&with("[[route]]", "[[route]")).await;

    assert_eq!(complaint, "gateway.toml:16:9: unclosed array table, expected `]`");
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() {
    let config = with("the-secret-of-the-issuer-01234567", "short")
        .replace("credentials = \"photos\"", "credentials = \"none\"")
        .replace("path = \"/photos\"", "path = \"photos\"")
        .replace("upstream = \"photos\"", "upstream = \"none\"");

    let complaint = complaint(&config).await;

    let places =
        complaint.lines().map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" "));
    let expected = [
        "gateway.toml:10:8 issuer.accounts.keys[0]",
        "gateway.toml:14:68 upstream.photos.sigv4_sign.credentials",
        "gateway.toml:17:8 route[0].path",
        "gateway.toml:18:12 route[0].upstream",
    ];
    assert_eq!(places.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_named_where_it_is_needed() {
    let complaint = complaint(&with("the-secret-of-the-bucket", "${BUCKET_SECRET}")).await;

    let expected = "gateway.toml:6:14: credentials.photos.secret_key: the environment variable \
        BUCKET_SECRET is not set; `${BUCKET_SECRET:-…}` gives a default";
    assert_eq!(complaint, expected);
}

#[tokio::test]
async fn variables_and_their_defaults_stand_in_for_any_string() {
    let config =
        with("127.0.0.1:9000", "${HOST:-127.0.0.1}:${PORT}").replace("HS256", "${ALG:-HS256}");
    let folder = folder(&config);

    let output = portcullis(folder.path(), &["check", "gateway.toml"], &[("PORT", "9000")]).await;

    assert_eq!((text(&output.stdout), text(&output.stderr)), ("gateway.toml: right", ""));
}

#[tokio::test]
async fn a_variable_cannot_change_what_the_file_means() {
    let folder = folder(&with("the-secret-of-the-bucket", "${BUCKET_SECRET}"));
    let forged = [("BUCKET_SECRET", "x\"\n[[route]]\npath = \"/forged\"\n\\ ${OTHER}")];

    let output = portcullis(folder.path(), &["check", "gateway.toml"], &forged).await;

    assert_eq!((text(&output.stdout), text(&output.stderr)), ("gateway.toml: right", ""));
}

#[tokio::test]
async fn a_doubled_dollar_is_no_reference() {
    let output = check(&with("the-secret-of-the-bucket", "$${BUCKET_SECRET}")).await;

    assert_eq!((text(&output.stdout), text(&output.stderr)), ("gateway.toml: right", ""));
}

#[tokio::test]
async fn a_reference_without_its_end_is_told_how_to_write_a_plain_one() {
    let complaint = complaint(&with("the-secret-of-the-bucket", "the-secret-${-of")).await;

    let expected = "gateway.toml:6:14: credentials.photos.secret_key: `${` without its `}`; a \
        plain `${` is written `$${`";
    assert_eq!(complaint, expected);
}

#[tokio::test]
async fn a_secret_in_the_wrong_form_or_place_is_not_printed() {
    let keys = RIGHT.lines().nth(9).unwrap();
    for (right, wrong) in [
        ("\"the-secret-of-the-bucket\"", "8675309"),
        ("\"the-secret-of-the-bucket\"", "{ 'the' = 'the-secret' }"),
        ("\"the-secret-of-the-bucket\"", "\"\""),
        ("\"the-secret-of-the-issuer-01234567\"", "8675309"),
        ("\"the-secret-of-the-issuer-01234567\"", "\"the-secret\""),
        (keys, "keys = \"the-secret, expected\""),
        (keys, "keys = [\"the-secret\"]"),
        (keys, "keys = 8675309.5"),
        ("[credentials.photos]", "[credentials]\nphotos = \"the-secret\"\n[credentials.other]"),
    ] {
        let complaint = complaint(&with(right, wrong)).await;

        assert!(!complaint.contains("the-secret") && !complaint.contains("8675309"), "{complaint}");
    }
}

#[test]
fn no_secret_is_in_what_a_plan_shows_of_itself() {
    let plan = plan(RIGHT).unwrap();

    let shown = format!("{plan:?} {plan:#?}");

    assert!(shown.contains("AKIDEXAMPLE") || shown.contains("photos"), "{shown}");
    assert!(!shown.contains("the-secret"), "{shown}");
}

#[tokio::test]
async fn a_secret_in_a_file_is_looked_for_beside_the_configuration() {
    let folder = folder(&with("the-secret-of-the-bucket", "file:bucket.secret"));
    std::fs::write(folder.path().join("bucket.secret"), "the-secret\n").unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");

    let output = portcullis(elsewhere.path(), &["check", file.to_str().unwrap()], &[]).await;

    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn a_secret_whose_file_is_missing_is_named_by_the_file() {
    let complaint = complaint(&with("the-secret-of-the-bucket", "file:bucket.secret")).await;

    let expected = "gateway.toml:6:14: credentials.photos.secret_key: cannot read bucket.secret: \
        No such file or directory (os error 2)";
    assert_eq!(complaint, expected);
}

#[tokio::test]
async fn run_refuses_a_wrong_file_in_the_same_words_as_check() {
    let folder = folder(&with("upstream = \"photos\"", "upstream = \"photo\""));

    let check = portcullis(folder.path(), &["check", "gateway.toml"], &[]).await;
    let run = portcullis(folder.path(), &["run", "--config", "gateway.toml"], &[]).await;

    assert_eq!(run.status.code(), Some(2));
    assert_eq!(text(&run.stderr), text(&check.stderr));
    assert_eq!(text(&run.stdout), "");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let folder = folder(RIGHT);

    let output = portcullis(folder.path(), &["check", "other.toml"], &[]).await;

    assert_eq!(text(&output.stderr), "other.toml: No such file or directory (os error 2)");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_file_of_the_readme_is_right() {
    let readme = include_str!("../../server/README.md");
    let file = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());

    plan(file.expect("a file in the readme")).unwrap();
}

#[test]
fn the_section_of_the_readme_that_discovers_is_right() {
    let readme = include_str!("../../server/README.md");
    let sections = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let section = sections.skip(1).find(|section| section.contains("discover")).unwrap();

    plan(&format!("{section}[[listener]]\naddress = '127.0.0.1:0'\n")).unwrap();
}

#[tokio::test]
async fn the_environment_may_name_the_file() {
    let folder = folder(RIGHT);
    let variables = [("PORTCULLIS_CONFIG", "gateway.toml")];

    let output = portcullis(folder.path(), &["check"], &variables).await;

    assert_eq!((text(&output.stdout), text(&output.stderr)), ("gateway.toml: right", ""));
}

#[tokio::test]
async fn a_second_instance_at_the_same_address_does_not_start_and_names_it() {
    let folder = folder(RIGHT);
    let (_first, address, _) = Process::run(GATEWAY, &folder.path().join("gateway.toml")).await;
    let config = with("127.0.0.1:0", &address.to_string());
    std::fs::write(folder.path().join("second.toml"), config).unwrap();

    let second = portcullis(folder.path(), &["run", "--config", "second.toml"], &[]).await;

    assert_eq!(second.status.code(), Some(1));
    let expected = format!("portcullis: cannot listen on {address}: ");
    assert!(text(&second.stderr).starts_with(&expected), "{}", text(&second.stderr));
}

#[tokio::test]
async fn the_version_is_told() {
    let folder = folder(RIGHT);

    let output = portcullis(folder.path(), &["--version"], &[]).await;

    let version = text(&output.stdout).strip_prefix("portcullis ").expect("its name");
    assert_eq!(version.split('.').count(), 3, "{version}");
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn help_tells_the_commands_and_the_exit_codes() {
    let folder = folder(RIGHT);

    let output = portcullis(folder.path(), &["--help"], &[]).await;

    let help = text(&output.stdout);
    for word in [
        "run",
        "check",
        "schema",
        "demo",
        "Exit codes:",
        "\n  0 ",
        "\n  1 ",
        "\n  2 ",
        "\n  3 ",
        "\n  4 ",
    ] {
        assert!(help.contains(word), "{word} is not in {help}");
    }
}

/// Mistakes of all kinds, and secrets in between.
const WRONG: &str = r#"workers = "two"

[[listener]]
address = "localhost"
timeouts = { keep_alive = "soon", send = 5 }

[drain]
linger = "1m"
deadline = "10s"

[request_guard]
max_body = "lots"

[credentials.photos]
access_key = "${PORTCULLIS_TEST_KEY}"
secret_key = 8675309

[issuer.accounts]
audience = "photos"
keys = [{ secret = "the-secret-of-the-issuer-01234567", algorithms = ["HS265"] }]

[upstream.photos]
replica = [{ url = "ftp://the-secret@example.com" }, { weight = 1 }]
sigv4_sign = { service = "s3", regio = "eu-west-1", credentials = "photos" }

[[route]]
path = "/photos"
upstrem = "photos"
jwt_auth = { issuers = ["accounts", "acounts"], optional = "yes" }

[[route]]
upstream = "elsewhere"

[[route]]
path = "/api"
upstream = "elsewhere"

[[route]]
path = "/photos/all"
upstream = "photos"
"#;

/// The same mistakes, and one that is YAML's alone.
const WRONG_YAML: &str = r#"workers: two

listener:
  - address: localhost
    timeouts: { keep_alive: soon, send: 5 }

drain:
  linger: 1m
  deadline: 10s

request_guard:
  max_body: lots

credentials:
  photos:
    access_key: ${PORTCULLIS_TEST_KEY}
    secret_key: 8675309

issuer:
  accounts:
    audience: photos
    keys:
      - secret: the-secret-of-the-issuer-01234567
        algorithms: [HS265]

upstream:
  photos:
    replica:
      - url: ftp://the-secret@example.com
      - weight: 1
    sigv4_sign: { service: s3, regio: eu-west-1, credentials: photos }

route:
  - path: /photos
    upstrem: photos
    jwt_auth:
      issuers: [accounts, acounts]
      optional: yes
  - upstream: elsewhere
  - path: /api
    upstream: elsewhere
  - path: /photos/all
    upstream: photos
"#;

/// Each mistake: its place in TOML, its place in YAML, and what is said of it.
const MISTAKES: [(&str, &str, &str); 20] = [
    ("1:11", "1:10", "workers: expected a whole number of at least 1, found a text"),
    (
        "4:11",
        "4:14",
        "listener[0].address: an address with its port, like \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:PATH\", or \"systemd:NAME\"",
    ),
    (
        "5:27",
        "5:29",
        "listener[0].timeouts.keep_alive: a duration above zero like \"250ms\", \"30s\" or \"5m\" is needed here",
    ),
    ("5:42", "5:41", "listener[0].timeouts.send: expected a text, found a whole number"),
    ("7:1", "8:3", "drain: a linger of 60s exceeds the deadline of 10s"),
    (
        "12:12",
        "12:13",
        "request_guard.max_body: expected a number of bytes, or text with B, KiB, MiB or GiB, as in \"10MiB\"",
    ),
    (
        "15:14",
        "16:17",
        "credentials.photos.access_key: the environment variable PORTCULLIS_TEST_KEY is not set; \
     `${PORTCULLIS_TEST_KEY:-…}` gives a default",
    ),
    ("16:14", "17:17", "credentials.photos.secret_key: expected a text, found a whole number"),
    ("19:12", "21:15", "issuer.accounts.audience: expected a list, found a text"),
    (
        "20:71",
        "24:22",
        "issuer.accounts.keys[0].algorithms[0]: expected one of `HS256`, `HS384`, `HS512`, `RS256`, \
     `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `Ed25519`, `EdDSA`; did you mean `HS256`?",
    ),
    ("23:12", "29:9", "upstream.photos.replica[0]: missing key `name`"),
    (
        "23:20",
        "29:14",
        "upstream.photos.replica[0].url: a URL like `https://api.example.com:8443/base`: scheme http \
     or https, host, no user, no query",
    ),
    ("23:54", "30:9", "upstream.photos.replica[1]: missing key `name`"),
    ("23:54", "30:9", "upstream.photos.replica[1]: missing key `url`"),
    ("24:14", "31:17", "upstream.photos.sigv4_sign: missing key `region`"),
    (
        "24:32",
        "31:32",
        "upstream.photos.sigv4_sign.regio: unknown key `regio`; did you mean `region`?",
    ),
    ("28:1", "35:5", "route[0].upstrem: unknown key `upstrem`; did you mean `upstream`?"),
    (
        "29:37",
        "37:27",
        "route[0].jwt_auth.issuers[1]: there is no section `[issuer.acounts]`; did you mean `accounts`?",
    ),
    ("29:60", "38:17", "route[0].jwt_auth.optional: expected true or false, found a text"),
    ("31:1", "39:5", "route[1]: missing key `path`"),
];

#[tokio::test]
async fn every_mistake_is_told_at_once_with_its_place_in_toml() {
    let unknown = "36:12: route[2].upstream: there is no section `[upstream.elsewhere]`";

    let said = complaint(WRONG).await;

    let told = MISTAKES.iter().map(|(toml, _, what)| format!("{toml}: {what}"));
    assert_eq!(places(&said), told.chain([unknown.to_owned()]).collect::<Vec<_>>());
}

#[tokio::test]
async fn every_mistake_is_told_at_once_with_its_place_in_yaml() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), WRONG_YAML).unwrap();
    let unknown = "41:15: route[2].upstream: there is no section `[upstream.elsewhere]`";

    let output = portcullis(folder.path(), &["check", "gateway.yaml"], &[]).await;

    let told = MISTAKES.iter().map(|(_, yaml, what)| format!("{yaml}: {what}"));
    assert_eq!(places(text(&output.stderr)), told.chain([unknown.to_owned()]).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(2));
}

/// What was said, without the name of the file.
fn places(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.split_once(':')).map(|(_, place)| place).collect()
}

#[tokio::test]
async fn a_gateway_runs_by_a_file_in_yaml() {
    let mut upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let config = format!(
        "# The same as in TOML.
workers: ${{PORTCULLIS_TEST_WORKERS:-1}}
listener:
  - address: 127.0.0.1:0
    timeouts: &patient {{ keep_alive: 1m }}
  - address: 127.0.0.1:0
    timeouts: *patient
log:
  format: json
upstream:
  api:
    replica:
      - name: api
        url: http://{}
route:
  - path: /api
    strip_prefix: true
    upstream: api
    timeout: 30s
    header_inject:
      request:
        - set: x-feature
          value: 'on'
",
        upstream.address()
    );
    std::fs::write(&file, config).unwrap();

    let (_gateway, address, _) = Process::run(GATEWAY, &file).await;
    let response = ask(address, "GET /api/a", &[]).await;

    let seen = upstream.seen().await;
    assert_eq!((response.status, response.body.as_str()), (200, "ok"));
    assert_eq!((seen.line(), seen.header("x-feature")), ("GET /a HTTP/1.1", vec!["on"]));
}

#[tokio::test]
async fn what_is_no_yaml_and_what_stands_there_twice_is_refused_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (config, expected) in [
        (
            "log:\n  level: info\n  level: warn\n",
            "gateway.yml:3:3: the key `level` stands here twice",
        ),
        (
            "workers: !!int 2\n",
            "gateway.yml:1:16: tags are not read; a text that looks like something else is quoted",
        ),
    ] {
        std::fs::write(folder.path().join("gateway.yml"), config).unwrap();

        let output = portcullis(folder.path(), &["check", "gateway.yml"], &[]).await;

        assert_eq!(text(&output.stderr), expected);
    }
}

#[tokio::test]
async fn a_file_that_is_neither_toml_nor_yaml_is_told_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.conf"), RIGHT).unwrap();

    let output = portcullis(folder.path(), &["check", "gateway.conf"], &[]).await;

    let expected = "gateway.conf: a configuration file is TOML or YAML: `.toml`, `.yaml` or `.yml`";
    assert_eq!(text(&output.stderr), expected);
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn what_follows_from_a_mistake_is_not_told_as_another() {
    for (right, wrong, expected) in [
        // A section that is not sound is there all the same.
        ("url = \"http://127.0.0.1:9000/photos\"", "url = 5", &["13:38"][..]),
        ("access_key = \"AKIDEXAMPLE\"", "access_key = 5", &["5:14"]),
        ("[issuer.accounts]", "[isuer.accounts]", &["8:2"]),
        // What lacks a key that is wrong does not lack it.
        ("path = \"/photos\"", "path = 5", &["17:8"]),
        ("[[route]]", "[[route]]\nupstream = 1\n[[route]]", &["16:1", "17:12"]),
    ] {
        let complaint = complaint(&with(right, wrong)).await;

        let said = places(&complaint);
        let said: Vec<_> = said.iter().filter_map(|line| line.split(": ").next()).collect();
        assert_eq!(said, expected, "{complaint}");
    }
}

#[tokio::test]
async fn routes_are_counted_as_they_stand_in_the_file() {
    let more = "upstream = \"photos\"\n[[route]]\nupstream = \"photos\"\n[[route]]\npath = \"/b\"\nupstream = \"no\"\n\
        [[route]]\npath = \"/b\"\nupstream = \"photos\"\n";

    let complaint = complaint(&with("upstream = \"photos\"\n", more)).await;

    let said = places(&complaint);
    let expected = [
        "19:1: route[1]: missing key `path`",
        "23:12: route[2].upstream: there is no section `[upstream.no]`",
        "24:1: route[3]: matches the same requests as route[2]",
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn who_reads_the_beginning_of_the_schema_alone_is_told_of_no_error() {
    // It is more than a pipe takes, so that it cannot all have been written when `head` goes.
    let commands = format!("set -o pipefail; '{GATEWAY}' schema | head -c 1");

    let output = Command::new("bash").args(["-c", &commands]).output().await.unwrap();

    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(output.stdout, b"{");
}
