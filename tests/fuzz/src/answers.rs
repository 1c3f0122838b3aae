//! What an answer is, as one who reads JSON sees it: without the parsers that are tested.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The members of an answer to one request.
type Answer<'a> = BTreeMap<String, &'a RawValue>;

/// The ids of the answers that `message` holds, as they stand there.
///
/// # Panics
///
/// Where `message` is anything else than one answer, or an array of at least one.
pub(crate) fn ids(message: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(message).expect("what is sent is UTF-8");
    let whole: &RawValue = serde_json::from_str(text).expect("what is sent is one JSON value");
    assert_eq!(whole.get(), text, "what is sent has nothing around it");
    let answers: Vec<Answer<'_>> = match text.starts_with('[') {
        true => serde_json::from_str(text).expect("a batch of answers"),
        false => vec![serde_json::from_str(text).expect("an answer")],
    };
    assert!(!answers.is_empty(), "an empty batch was sent");
    let id = |answer: &Answer<'_>| {
        assert!(answer.contains_key("result") || answer.contains_key("error"), "it says nothing: {text}");
        answer.get("id").expect("an id, if only null").get().to_owned()
    };
    answers.iter().map(id).collect()
}

/// The ids that stand in what the peer sent: those of each of its members.
pub(crate) fn ids_of_requests(frame: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Members<'a>(#[serde(borrow, deserialize_with = "every_id")] Vec<&'a RawValue>);

    let text = std::str::from_utf8(frame).unwrap_or_default();
    // White space around a message is passed over, form feeds included, which JSON does not know.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii();
    let members: Vec<&RawValue> = serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(text).map(|member| vec![member]))
        .unwrap_or_default();
    let ids = members.into_iter().filter_map(|member| serde_json::from_str::<Members<'_>>(member.get()).ok());
    ids.filter_map(|Members(ids)| Some(ids.last()?.get().to_owned())).collect()
}

/// The values of all members with the name `id`.
fn every_id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<&'de RawValue>, D::Error> {
    struct Ids;

    impl<'de> serde::de::Visitor<'de> for Ids {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut ids = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                if name == "id" {
                    ids.push(value);
                }
            }
            Ok(ids)
        }
    }

    deserializer.deserialize_map(Ids)
}
