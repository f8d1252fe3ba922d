//! What the schema says of the policy.
#![cfg(feature = "schema")]

use portcullis_host_strip::HopByHop;

#[test]
fn the_schema_has_the_keys_of_the_policy_and_no_others() {
    let schema = schemars::schema_for!(HopByHop).to_value();

    for key in ["upgrade", "protected", "remove", "remove_prefixes"] {
        assert!(schema["properties"][key].is_object(), "{key} is not in {schema}");
    }
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["$defs"].get("Duration").is_none(), "{schema}");
}
