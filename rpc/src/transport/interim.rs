//! Answers of HTTP that come before the answer: those with a status of 1xx, but for 101 (RFC 9110,
//! section 15.2). A client passes over them, and not without end.

/// How many may come before one answer. Servers send one or two: a `100 Continue`, a `103 Early
/// Hints`.
pub(crate) const MOST_INTERIM: usize = 16;

/// Why an answer is given up that does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MOST_INTERIM} interim answers (1xx) have come, and no final one")]
pub(crate) struct TooManyInterim;
