//! What the schema says of the policy.
#![cfg(feature = "schema")]

use portcullis_drain::Deadlines;

#[test]
fn the_schema_has_the_keys_of_the_policy_and_no_others() {
    let schema = schemars::schema_for!(Deadlines).to_value();

    for key in ["linger", "deadline"] {
        assert!(schema["properties"][key].is_object(), "{key} is not in {schema}");
    }
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["$defs"].get("Duration").is_none(), "{schema}");
}
