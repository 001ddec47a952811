//! Whether an answer holds more than the API's description lists.

use serde_json::Value;

/// The pointers of members in `value` that no schema lists.
pub fn undocumented(description: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(description, &[schema], value, "", &mut found);
    found
}

/// `value` may be described by any of these schemas: each lists members that are allowed.
fn look(description: &Value, schemas: &[&Value], value: &Value, at: &str, found: &mut Vec<String>) {
    let schemas = expand(description, schemas);
    // Described as anything at all.
    if schemas.contains(&&Value::Bool(true)) {
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                let at = format!("{at}/{name}");
                let mut described: Vec<&Value> =
                    schemas.iter().filter_map(|schema| schema["properties"].get(name)).collect();
                if described.is_empty() {
                    described.extend(schemas.iter().filter_map(|schema| schema.get("additionalProperties")));
                }
                described.retain(|schema| **schema != Value::Bool(false));
                if described.is_empty() {
                    found.push(at);
                } else {
                    look(description, &described, inner, &at, found);
                }
            }
        }
        Value::Array(items) => {
            let described: Vec<&Value> = schemas.iter().filter_map(|schema| schema.get("items")).collect();
            for (index, item) in items.iter().enumerate() {
                let at = format!("{at}/{index}");
                if described.is_empty() {
                    found.push(at);
                } else {
                    look(description, &described, item, &at, found);
                }
            }
        }
        _ => {}
    }
}

/// The schemas with those that they refer to and are put together from.
fn expand<'a>(description: &'a Value, schemas: &[&'a Value]) -> Vec<&'a Value> {
    let mut all = Vec::new();
    let mut next: Vec<&Value> = schemas.to_vec();
    while let Some(schema) = next.pop() {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = description.pointer(reference.trim_start_matches('#'));
            next.push(target.unwrap_or_else(|| panic!("{reference} leads nowhere")));
        }
        for parts in ["allOf", "anyOf", "oneOf"] {
            next.extend(schema[parts].as_array().into_iter().flatten());
        }
        all.push(schema);
    }
    all
}

#[test]
fn a_member_that_no_schema_lists_is_found_wherever_it_is() {
    let description = serde_json::json!({"components": {"schemas": {
        "Card": {"allOf": [{"properties": {"id": {}}}, {"properties": {"name": {"type": "string"}}}]},
        "Page": {"properties": {"items": {"items": {"$ref": "#/components/schemas/Card"}}, "counts": {"additionalProperties": {}}}},
    }}});
    let schema = serde_json::json!({"$ref": "#/components/schemas/Page"});
    let found = |value: Value| undocumented(&description, &schema, &value);
    let sound = serde_json::json!({"items": [{"id": 1, "name": "Ann"}], "counts": {"any": 3}});
    assert_eq!(found(sound), Vec::<String>::new());
    let more = serde_json::json!({"items": [{"id": 1}, {"id": 2, "email": "x"}], "secret": true});
    assert_eq!(found(more), ["/items/1/email", "/secret"]);
}
