//! The part of JSON Schema that our schemas use.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a broken schema fails the test")]

use serde_json::Value;

/// Checks `value` against the parts of JSON Schema that our schemas use, and says where it does not fit.
pub(crate) fn misfits(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "$", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for keyword in schema.as_object().expect("a schema is an object").keys() {
        let known = [
            "$schema",
            "$defs",
            "$ref",
            "title",
            "description",
            "type",
            "enum",
            "minimum",
            "required",
            "properties",
            "additionalProperties",
            "items",
        ];
        assert!(known.contains(&keyword.as_str()), "this checker does not know the keyword {keyword}");
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(name.trim_start_matches('#')).expect("a reference has a target");
        return check(root, target, value, at, found);
    }
    if let Some(types) = schema.get("type") {
        let fits = |name: &Value| matches(name.as_str().unwrap(), value);
        if !types.as_array().map_or_else(|| fits(types), |types| types.iter().any(fits)) {
            found.push(format!("{at} is not of the type {types}"));
        }
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        found.push(format!("{at} is none of {words:?}"));
    }
    if let (Some(least), Some(number)) = (schema.get("minimum").and_then(Value::as_i64), value.as_i64())
        && number < least
    {
        found.push(format!("{at} is under {least}"));
    }
    if let Some(object) = value.as_object() {
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if !object.contains_key(name.as_str().unwrap()) {
                found.push(format!("{at} lacks {name}"));
            }
        }
        for (name, inner) in object {
            let at = format!("{at}.{name}");
            match (schema.pointer(&format!("/properties/{name}")), schema.get("additionalProperties")) {
                (Some(schema), _) => check(root, schema, inner, &at, found),
                (None, Some(Value::Bool(false))) => found.push(format!("{at} is not allowed")),
                (None, Some(rest @ Value::Object(_))) => check(root, rest, inner, &at, found),
                (None, _) => {}
            }
        }
    }
    if let (Some(items), Some(array)) = (schema.get("items"), value.as_array()) {
        for (n, inner) in array.iter().enumerate() {
            check(root, items, inner, &format!("{at}[{n}]"), found);
        }
    }
}

fn matches(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("this checker does not know the type {other}"),
    }
}
