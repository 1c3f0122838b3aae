//! How names are spelled on the wire: the words and the rules of serde's `rename_all`, as it has them for fields.

/// The word that stands for a spelling, and what it does to a name in `snake_case`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    const ALL: [(&str, Self); 8] = [
        ("lowercase", Self::Lower),
        ("UPPERCASE", Self::Upper),
        ("PascalCase", Self::Pascal),
        ("camelCase", Self::Camel),
        ("snake_case", Self::Snake),
        ("SCREAMING_SNAKE_CASE", Self::ScreamingSnake),
        ("kebab-case", Self::Kebab),
        ("SCREAMING-KEBAB-CASE", Self::ScreamingKebab),
    ];

    /// What `word` stands for.
    pub(super) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == word).map(|(_, case)| case)
    }

    /// All words, for a message.
    pub(super) fn listed() -> String {
        Self::ALL.map(|(word, _)| format!("\"{word}\"")).join(", ")
    }

    /// `name` in this spelling.
    pub(crate) fn apply(self, name: &str) -> String {
        match self {
            // As in serde: a field is taken to be in lower case as it is.
            Self::Lower | Self::Snake => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_ascii_uppercase(),
            Self::Pascal => name.split('_').map(capitalized).collect(),
            Self::Camel => {
                let pascal = Self::Pascal.apply(name);
                let mut rest = pascal.chars();
                rest.next()
                    .map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + rest.as_str())
            }
            Self::Kebab => name.replace('_', "-"),
            Self::ScreamingKebab => name.to_ascii_uppercase().replace('_', "-"),
        }
    }
}

fn capitalized(word: &str) -> String {
    let mut rest = word.chars();
    rest.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + rest.as_str())
}

#[cfg(test)]
mod tests {
    use super::Case;

    #[test]
    fn names_are_spelled_as_serde_spells_fields() {
        for (word, spelled) in [
            ("lowercase", ["get_user_2", "a", "_skipped"]),
            ("UPPERCASE", ["GET_USER_2", "A", "_SKIPPED"]),
            ("PascalCase", ["GetUser2", "A", "Skipped"]),
            ("camelCase", ["getUser2", "a", "skipped"]),
            ("snake_case", ["get_user_2", "a", "_skipped"]),
            ("SCREAMING_SNAKE_CASE", ["GET_USER_2", "A", "_SKIPPED"]),
            ("kebab-case", ["get-user-2", "a", "-skipped"]),
            ("SCREAMING-KEBAB-CASE", ["GET-USER-2", "A", "-SKIPPED"]),
        ] {
            let case = Case::of(word).expect("one of serde's words");
            assert_eq!(["get_user_2", "a", "_skipped"].map(|name| case.apply(name)), spelled, "{word}");
        }
        assert_eq!(Case::of("Camelcase"), None);
    }
}
