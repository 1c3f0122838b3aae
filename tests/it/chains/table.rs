//! One line of the table, and what the sources say that there has to be.

use std::error::Error;

/// An error, and what has to be found in it and its causes, once each.
pub(super) struct Case {
    pub(super) error: Box<dyn Error>,
    pub(super) facts: Vec<String>,
    kind: &'static str,
}

impl Case {
    pub(super) fn of<E: Error + 'static>(error: E, facts: &[&str]) -> Self {
        let path = std::any::type_name::<E>();
        let path = path.split('<').next().unwrap_or(path);
        let kind = path.rsplit("::").next().unwrap_or(path);
        Self { error: Box::new(error), facts: facts.iter().map(|&fact| fact.to_owned()).collect(), kind }
    }

    /// The type and the variant.
    pub(super) fn name(&self) -> String {
        let shown = format!("{:?}", self.error);
        let variant: String = shown.chars().take_while(|c| c.is_alphanumeric()).collect();
        format!("{}::{variant}", self.kind)
    }

    /// What the error says, and each of its causes.
    pub(super) fn texts(&self) -> Vec<String> {
        let causes = std::iter::successors(Some(&*self.error), |&error| error.source());
        causes.map(ToString::to_string).collect()
    }
}

/// The names of the variants of the public enum `kind`.
pub(super) fn variants(source: &str, kind: &str) -> Vec<String> {
    let Some((_, body)) = source.split_once(&format!("pub enum {kind}")) else { return Vec::new() };
    let body = body.split("\n}").next().unwrap_or_default();
    let names = body.lines().skip(1).filter_map(|line| line.strip_prefix("    "));
    let names = names.filter(|line| line.starts_with(char::is_uppercase));
    names
        .map(|line| line.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned())
        .collect()
}
