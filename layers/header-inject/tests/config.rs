//! What a configuration file may say.
#![cfg(feature = "serde")]

use http::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue, SERVER, VIA};
use http::{Method, StatusCode};
use portcullis_header_inject::{
    Condition, HeaderInject, HeaderRules, OnMissing, Rule, Statuses, Value,
};
use proptest::prelude::*;

fn read(file: &str) -> Result<HeaderInject, String> {
    toml::from_str(file).map_err(|error| toml::de::Error::message(&error).to_owned())
}

/// Reads a list with one rule.
fn rule(rule: &str) -> Result<HeaderInject, String> {
    read(&format!("request = [{rule}]"))
}

fn text(value: &'static str) -> HeaderValue {
    HeaderValue::from_static(value)
}

#[test]
fn either_list_may_be_left_out() {
    assert_eq!(read(""), Ok(HeaderInject::new()));
    let response = HeaderRules::new([Rule::remove(SERVER)]).unwrap();
    assert_eq!(
        read("response = [{ remove = 'Server' }]"),
        Ok(HeaderInject::new().response(response))
    );
}

#[test]
fn every_verb_is_read_in_its_place() {
    let file = r#"
        request = [
            { remove = "X-Internal" },
            { rename = "x-client-id", to = "x-forwarded-client" },
            { set = "x-feature", value = "on" },
            { append = "via", value = "1.1 gateway" },
            { set_if_absent = "accept", value = "*/*" },
            { set = "authorization", value = "Bearer abc", secret = true, allow_protected = true },
            { set = "x-user", from = "claim:sub" },
            { append = "x-role", from = "claim:role", secret = true },
            { replace_if_present = "x-proto", value = "https" },
            { remove_prefix = "X-Internal-" },
            { copy = "accept", to = "x-accept" },
            { set = "x-key", from = "key", prefix = "Bearer ", on_missing = "reject" },
            { set = "x-raw-bin", value = "a\u0000b", base64 = true },
            { set = "x-key-bin", from = "key", base64 = true, on_missing = "keep" },
        ]
    "#;
    let mut token = text("Bearer abc");
    token.set_sensitive(true);
    let rules = HeaderRules::new([
        Rule::remove(HeaderName::from_static("x-internal")),
        Rule::rename(
            HeaderName::from_static("x-client-id"),
            HeaderName::from_static("x-forwarded-client"),
        ),
        Rule::set(HeaderName::from_static("x-feature"), text("on")),
        Rule::append(VIA, text("1.1 gateway")),
        Rule::set_if_absent(ACCEPT, text("*/*")),
        Rule::set(AUTHORIZATION, token).allow_protected(),
        Rule::set(HeaderName::from_static("x-user"), Value::named("claim:sub")),
        Rule::append(HeaderName::from_static("x-role"), Value::named("claim:role").secret()),
        Rule::replace_if_present(HeaderName::from_static("x-proto"), text("https")),
        Rule::remove_prefix("x-internal-".parse().unwrap()),
        Rule::copy(ACCEPT, HeaderName::from_static("x-accept")),
        Rule::set(HeaderName::from_static("x-key"), Value::named("key").prefixed(text("Bearer ")))
            .on_missing(OnMissing::Reject),
        Rule::set(HeaderName::from_static("x-raw-bin"), text("YQBi")),
        Rule::set(HeaderName::from_static("x-key-bin"), Value::named("key").in_base64())
            .on_missing(OnMissing::Keep),
    ]);

    assert_eq!(read(file), Ok(HeaderInject::new().request(rules.unwrap())));
}

#[test]
fn every_condition_is_read() {
    let name = HeaderName::from_static;
    let read = |when: &str| rule(&format!("{{ remove = 'x-a', when = {when} }}"));
    let policy = |condition| {
        let rule = Rule::remove(name("x-a")).when(condition);
        Ok(HeaderInject::new().request(HeaderRules::new([rule]).unwrap()))
    };
    let new = Condition::new;

    assert_eq!(read("{ method = 'POST' }"), policy(new().method(Method::POST)));
    assert_eq!(
        read("{ method = ['PUT', 'PURGE'] }"),
        policy(new().method(Method::PUT).method("PURGE".parse().unwrap()))
    );
    assert_eq!(read("{ status = 404 }"), policy(new().status(StatusCode::NOT_FOUND)));
    assert_eq!(
        read("{ status = ['4xx', 503, '502'] }"),
        policy(
            new()
                .status(Statuses::CLIENT_ERROR)
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .status(StatusCode::BAD_GATEWAY)
        )
    );
    assert_eq!(
        read("{ header = 'X-B', no_header = ['x-c', 'x-d'] }"),
        policy(new().has(name("x-b")).lacks(name("x-c")).lacks(name("x-d")))
    );
    assert_eq!(
        read("{ content_type = ['Text/HTML', 'image/*'] }"),
        policy(
            new()
                .content_type("text/html".parse().unwrap())
                .content_type("image/*".parse().unwrap())
        )
    );
    assert_eq!(read("{ known = 'claim:sub' }"), policy(new().known(Value::named("claim:sub"))));
}

#[test]
fn the_bound_is_a_size() {
    assert_eq!(read("max_header_block = '16KiB'"), Ok(HeaderInject::new().max_header_block(16384)));
    assert_eq!(read("max_header_block = '100B'"), Ok(HeaderInject::new().max_header_block(100)));
    for wrong in ["'16KB'", "'a lot'", "''", "'99999999999999999MiB'"] {
        let error = read(&format!("max_header_block = {wrong}")).unwrap_err();
        assert!(error.contains("16KiB"), "{error}");
    }
}

#[test]
fn a_rule_that_is_not_clear_is_refused_with_what_would_be_right() {
    for (input, advice) in [
        ("{}", "needs a verb"),
        ("{ value = 'a' }", "needs a verb"),
        ("{ set = 'x-a', remove = 'x-a', value = 'a' }", "not both `set` and `remove`"),
        ("{ set = 'x-a' }", "`set` needs a `value`"),
        (
            "{ append = 'x-a', to = 'x-b', value = 'a' }",
            "`append` needs a `value` or `from`, and no `to`",
        ),
        ("{ set = 'x-a', value = 'a', from = 'b' }", "`value` or `from`, not both"),
        ("{ remove = 'x-a', from = 'b' }", "`remove` stands alone"),
        ("{ rename = 'x-a', from = 'b' }", "`rename` needs `to`, and has no value"),
        ("{ set = 'x-a', from = '' }", "`from` must be a name"),
        ("{ set = 'x-a', from = ['b'] }", "`from` must be a name"),
        ("{ append = 'content-type', from = 'b' }", "not `append`"),
        ("{ remove = 'x-a', value = 'a' }", "`remove` stands alone"),
        ("{ remove = 'x-a', secret = true }", "`remove` stands alone"),
        ("{ rename = 'x-a' }", "`rename` needs `to`"),
        ("{ rename = 'x-a', to = 'X-A' }", "give another name"),
        ("{ set = 'no spaces', value = 'a' }", "letters, digits and `-`"),
        ("{ rename = 'x-a', to = '' }", "`to` must be the name of a header"),
        ("{ set = 'x-a', value = 1 }", "must be text, in quotes"),
        ("{ set = 'x-a', value = 'a', secret = 'yes' }", "`secret` must be true or false"),
        ("{ set = 'x-a', vlaue = 'a' }", "unknown field `vlaue`"),
        ("{ copy = 'x-a' }", "`copy` needs `to`"),
        ("{ copy = 'x-a', to = 'X-A' }", "give another name"),
        ("{ copy = 'x-a', to = 'te' }", "leave it out"),
        ("{ remove_prefix = '' }", "must begin the name of a header"),
        ("{ remove_prefix = 'a b' }", "must begin the name of a header"),
        ("{ remove_prefix = 'x-', on_missing = 'keep' }", "`remove_prefix` stands alone"),
        ("{ replace_if_present = 'x-a' }", "`replace_if_present` needs a `value`"),
        ("{ set = 'x-a', value = 'a', on_missing = 'ignore' }", "\"remove\", \"keep\" or"),
        ("{ set = 'x-a', from = 'b', prefix = 1 }", "`prefix` must be text"),
        ("{ set = 'x-a', prefix = 'b' }", "`set` needs a `value`"),
        ("{ remove = 'x-a', prefix = 'b' }", "`remove` stands alone"),
        ("{ set = 'x-a', value = 'a', base64 = 1 }", "`base64` must be true or false"),
        ("{ remove = 'x-a', when = {} }", "`when` needs one of"),
        ("{ remove = 'x-a', when = { header = [] } }", "must not be empty"),
        ("{ remove = 'x-a', when = { header = 'a b' } }", "`header` must be the name"),
        ("{ remove = 'x-a', when = { method = 1 } }", "`method` needs a method"),
        ("{ remove = 'x-a', when = { status = '6xx' } }", "`status` needs a status"),
        ("{ remove = 'x-a', when = { status = 1000 } }", "`status` needs a status"),
        ("{ remove = 'x-a', when = { content_type = 'html' } }", "`content_type` needs a type"),
        ("{ remove = 'x-a', when = { content_type = '*/*' } }", "`content_type` needs a type"),
        ("{ remove = 'x-a', when = { known = '' } }", "`known` must be a name"),
        ("{ remove = 'x-a', when = { unknown = 'b' } }", "unknown field `unknown`"),
        ("{ set = 'host', value = 'a' }", "say `allow_protected`"),
        ("{ set = 'te', value = 'a', allow_protected = true }", "leave it out"),
        ("{ append = 'content-type', value = 'a' }", "not `append`"),
        ("'x-a: a'", "text is no rule"),
    ] {
        let error = rule(input).unwrap_err();
        assert!(error.contains(advice), "{input}: {error}");
    }
    assert!(read("request = 'x-a: a'").unwrap_err().contains("text is no list of rules"));
    assert!(read("requests = []").unwrap_err().contains("unknown field `requests`"));
}

#[test]
fn a_line_break_or_a_byte_beyond_ascii_is_no_value() {
    for value in [r"a\r\nx-forged: b", r"a\nb", r"a\u0000", "caf\u{e9}"] {
        let error = rule(&format!("{{ set = 'x-a', value = \"{value}\" }}")).unwrap_err();
        assert!(error.contains("visible ASCII"), "{error}");
    }
}

#[test]
fn a_secret_is_not_printed() {
    let policy = rule("{ set = 'x-a', value = 'hunter2', secret = true }").unwrap();

    assert!(!format!("{policy:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn no_error_prints_a_value(
        shape in prop::sample::select(&[
            "{ set = 'x-a', value = 'SECRET', to = 'x-b' }",
            "{ set = 'x-a', value = \"SECRET\\n\" }",
            "{ set = 'x-a', value = ['SECRET'] }",
            "{ set = 'x-a', value = 'SECRET', from = 'SECRET' }",
            "{ set = 'x-a', from = ['SECRET'] }",
            "{ set = 'x-a', prefix = 'SECRET' }",
            "{ set = 'x-a', value = 'SECRET', prefix = ['SECRET'] }",
            "{ set = 'x-a', value = 'SECRET', base64 = 'SECRET' }",
            "{ set = 'x-a', value = 'SECRET', on_missing = 'SECRET' }",
            "{ set = 'x-a', value = 'SECRET', when = { status = 'SECRET' } }",
            "{ remove_prefix = 'x-', value = 'SECRET' }",
            "{ copy = 'x-a', to = 'x-b', value = 'SECRET' }",
            "{ set = 'te', from = 'SECRET' }",
            "{ set = 'x-a', value = { secret = 'SECRET' } }",
            "{ set = 'x-a', secret = 'SECRET' }",
            "{ set = 'x-a', value = 'SECRET', secret = 'SECRET' }",
            "{ set = 'SECRET SECRET', value = 'x-a' }",
            "{ set = 'x-a', value = 'SECRET', allow_protected = 'SECRET' }",
            "{ set = 'te', value = 'SECRET' }",
            "{ set = 'host', value = 'SECRET' }",
            "{ append = 'content-type', value = 'SECRET' }",
            "{ remove = 'x-a', value = 'SECRET' }",
            "{ rename = 'x-a', value = 'SECRET' }",
            "{ vlaue = 'SECRET' }",
            "'x-a: SECRET'",
            "['SECRET']",
        ][..]),
        secret in "[A-Z0-9]{12}",
    ) {
        let error = rule(&shape.replace("SECRET", &secret)).unwrap_err();
        prop_assert!(!error.contains(&secret), "{}", error);
    }

    #[test]
    fn no_error_prints_a_number(number in 1_000_000_000_000_i64..) {
        for shape in ["{ set = 'x-a', value = N }", "{ set = 'x-a', value = 'a', secret = N }"] {
            let error = rule(&shape.replace('N', &number.to_string())).unwrap_err();
            prop_assert!(!error.contains(&number.to_string()), "{}", error);
        }
    }
}
