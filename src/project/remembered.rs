//! Settings in `project.json` that are stored together. The file may be from another person or another version: a
//! setting that cannot be used takes its default, and the rest is kept.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::text::visible;

use super::Project;

impl Project {
    /// The settings stored under `key`; their defaults if there are none. If `is_possible` refuses them as a whole,
    /// each one that is possible together with those before it is kept, the others take their defaults, and a
    /// [notice](Project::take_notices) names them.
    #[must_use]
    pub fn settings<T>(&self, key: &str, is_possible: impl Fn(&T) -> bool) -> T
    where
        T: Serialize + DeserializeOwned + Default,
    {
        let Some(value) = self.stored_setting(key) else {
            return T::default();
        };
        let (settings, left_out) = possible_part(&value, is_possible);
        if !left_out.is_empty() {
            let names: Vec<String> = left_out
                .iter()
                .map(|name| match name.as_str() {
                    "" => format!("“{key}”"),
                    name => format!("“{key}.{}”", visible(name)),
                })
                .collect();
            let defaults = match names.len() {
                1 => "is invalid; its default is used until you choose another",
                _ => "are invalid; their defaults are used until you choose others",
            };
            self.notice(format!(
                "{} in project.json {defaults}",
                names.join(" and ")
            ));
        }
        settings
    }
}

/// The default with each setting of `value` that leaves it possible, and the names of the others,
/// `fine_tune.batch_size`.
fn possible_part<T>(value: &Value, is_possible: impl Fn(&T) -> bool) -> (T, Vec<String>)
where
    T: Serialize + DeserializeOwned + Default,
{
    let read = |value: &Value| T::deserialize(value).ok().filter(&is_possible);
    if let Some(all) = read(value) {
        return (all, Vec::new());
    }
    let mut part = T::default();
    let mut part_value = serde_json::to_value(&part).unwrap_or_default();
    let mut left_out = Vec::new();
    for (path, setting) in leaves(value) {
        let mut with_it = part_value.clone();
        put(&mut with_it, &path, setting);
        match read(&with_it) {
            Some(possible) => (part, part_value) = (possible, with_it),
            None => left_out.push(path.join(".")),
        }
    }
    (part, left_out)
}

/// The values in nested objects, each with the keys that lead to it.
fn leaves(value: &Value) -> Vec<(Vec<&str>, &Value)> {
    let Value::Object(fields) = value else {
        return vec![(Vec::new(), value)];
    };
    let mut found = Vec::new();
    for (key, value) in fields {
        for (mut path, leaf) in leaves(value) {
            path.insert(0, key);
            found.push((path, leaf));
        }
    }
    found
}

/// Puts a value where the keys lead to.
fn put(into: &mut Value, path: &[&str], value: &Value) {
    let Some((first, rest)) = path.split_first() else {
        *into = value.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    if let Value::Object(fields) = into {
        let field = fields.entry(*first).or_insert(Value::Null);
        put(field, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Inner {
        rate: f32,
        name: String,
    }

    impl Default for Inner {
        fn default() -> Self {
            Self {
                rate: 0.5,
                name: "plain".to_owned(),
            }
        }
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Outer {
        steps: u32,
        inner: Inner,
    }

    impl Default for Outer {
        fn default() -> Self {
            Self {
                steps: 100,
                inner: Inner::default(),
            }
        }
    }

    fn read(value: &Value) -> (Outer, Vec<String>) {
        possible_part(value, |found: &Outer| found.inner.rate < 1.0)
    }

    #[test]
    fn what_can_be_used_is_kept_as_it_is() {
        let value = json!({ "steps": 7, "inner": { "name": "x" }, "unknown": [1] });
        let (found, left_out) = read(&value);
        assert_eq!((found.steps, found.inner.rate), (7, 0.5));
        assert_eq!(found.inner.name, "x");
        assert!(left_out.is_empty());
    }

    #[test]
    fn a_setting_that_cannot_be_is_left_out_alone() {
        let value = json!({ "steps": "many", "inner": { "rate": 2.0, "name": "x" } });
        let (found, mut left_out) = read(&value);
        left_out.sort();
        assert_eq!(left_out, ["inner.rate", "steps"]);
        let inner = Inner {
            rate: 0.5,
            name: "x".to_owned(),
        };
        assert_eq!(found, Outer { steps: 100, inner });
    }

    #[test]
    fn no_object_at_all_is_the_default() {
        let (found, left_out) = read(&json!([1, 2]));
        assert_eq!(found, Outer::default());
        assert_eq!(left_out.len(), 1);
    }
}
