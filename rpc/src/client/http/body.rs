//! Reads the body of an answer, and no more of it than allowed.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// What was read of a body.
#[derive(Debug)]
pub(super) enum Received {
    Whole(Bytes),
    /// It is larger than allowed.
    TooLarge {
        /// What was read before that was known.
        start: Bytes,
        /// What it said its size was.
        declared: Option<u64>,
    },
}

impl Received {
    /// As much of the body as is there.
    pub(super) fn start(&self) -> &[u8] {
        match self {
            Self::Whole(body) | Self::TooLarge { start: body, .. } => body,
        }
    }
}

/// Reads at most `limit` bytes. What a body declares is never allocated before it comes; one that declares too much is not read, or where
/// `wants_start` only its first piece.
pub(super) async fn receive(
    mut body: Incoming,
    limit: usize,
    wants_start: bool,
) -> Result<Received, hyper::Error> {
    let declared = body.size_hint().exact();
    let declares_too_much = declared.is_some_and(|size| size > u64::try_from(limit).unwrap_or(u64::MAX));
    if declares_too_much && !wants_start {
        return Ok(Received::TooLarge { start: Bytes::new(), declared });
    }
    // Nearly always the body is one piece, which is then not copied.
    let (mut only, mut several) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        // What is no data is a trailer.
        let Ok(piece) = frame?.into_data() else { continue };
        if declares_too_much || only.len().max(several.len()) + piece.len() > limit {
            let start = if only.is_empty() { piece } else { only };
            return Ok(Received::TooLarge { start, declared });
        }
        if only.is_empty() {
            only = piece;
            continue;
        }
        if several.is_empty() {
            several.extend_from_slice(&only);
        }
        several.extend_from_slice(&piece);
    }
    Ok(Received::Whole(if several.is_empty() { only } else { several.into() }))
}
