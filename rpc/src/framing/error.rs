//! What can be wrong with a stream of frames.

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is larger than [`Limits::frame_size`](crate::Limits).
    #[error("a frame of {size} bytes or more is over the limit of {limit} bytes")]
    TooLarge {
        /// How much of it had arrived when it was given up, in bytes.
        size: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// The stream does not follow the rules of the framing.
    #[error("the stream is broken: {0}")]
    Invalid(String),
}
