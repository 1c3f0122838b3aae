//! The items of work that reports how far it is.

use serde::{Deserialize, Serialize};

/// An item of a stream in the style of [`SubscriptionStyle::Progress`](super::SubscriptionStyle::Progress): how far the work is, or, as
/// the last one, what has become of it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures::{Stream, StreamExt, stream};
/// use rpc::{Progress, rpc_service};
///
/// #[rpc_service]
/// trait Indexer {
///     /// Gives the number of files, and their names on the way.
///     #[rpc(subscription, style = "progress")]
///     async fn index(&self, folder: &str) -> impl Stream<Item = Progress<String, usize>>;
/// }
///
/// struct Files;
/// impl Indexer for Files {
///     async fn index(&self, folder: &str) -> impl Stream<Item = Progress<String, usize>> {
///         let steps = ["a.md", "b.md"].map(|file| Progress::Step(format!("{folder}/{file}")));
///         stream::iter(steps).chain(stream::iter([Progress::Done(2)]))
///     }
/// }
///
/// let (session, _peer) = rpc::testing::pair((), IndexerServer::new(Files));
/// let work = IndexerClient::from(session).index("notes").await?;
/// let items: Vec<_> = work.map(Result::unwrap).collect().await;
/// assert_eq!(
///     items,
///     [Progress::Step("notes/a.md".to_owned()), Progress::Step("notes/b.md".to_owned()), Progress::Done(2)]
/// );
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Progress<S, R> {
    /// How far it is.
    Step(S),
    /// What the call returns. It ends the stream.
    Done(R),
}

/// The JSON of a [`Progress::Step`], given that of what is in it.
pub(super) fn step(json: &str) -> String {
    format!("{{\"Step\":{json}}}")
}

/// The JSON of a [`Progress::Done`], given that of what is in it.
pub(crate) fn done(json: &str) -> String {
    format!("{{\"Done\":{json}}}")
}
