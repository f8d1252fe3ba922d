//! What the schema says of the policy.
#![cfg(feature = "schema")]

use portcullis_rate_limit::LimitPolicy;

#[test]
fn the_schema_has_the_keys_of_the_policy_and_no_others() {
    let schema = schemars::schema_for!(LimitPolicy).to_value();

    for key in ["quota", "keys", "missing_key", "mode", "headers", "wait"] {
        assert!(schema["properties"][key].is_object(), "{key} is not in {schema}");
    }
    assert_eq!(schema["required"].as_array().map(Vec::len), Some(1), "{schema}");
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["$defs"].get("Duration").is_none(), "{schema}");
}
