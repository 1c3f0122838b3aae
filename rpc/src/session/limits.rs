//! Limits of one session, read and changed while it is open.

use super::Session;
use crate::limits::Limits;

impl Session {
    /// What the session may use at the moment.
    pub fn limits(&self) -> Limits {
        self.link.limits.load()
    }

    /// Changes what the session may use from now on: a peer that has logged in may get more, one that misbehaves less.
    ///
    /// What is under way keeps what it began with: the timeouts of calls and requests, and the buffers of subscriptions. More requests than
    /// may be worked on any more are finished, and so are subscriptions kept. Of several who change limits at once the last one counts,
    /// whole.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Context, ErrorObject, Params, Router};
    ///
    /// let router = Router::new().method("login", async |_: Params, cx: Context| {
    ///     let limits = cx.session().limits();
    ///     cx.session().set_limits(&limits.with_requests_in_flight(200).with_cost_hard(f64::INFINITY));
    ///     Ok::<_, ErrorObject>("welcome")
    /// });
    /// let (session, peer) = rpc::testing::pair((), router);
    /// session.call::<String>("login", ()).await?;
    /// assert_eq!(peer.limits().requests_in_flight, 200);
    /// # Ok(()) }
    /// ```
    pub fn set_limits(&self, limits: &Limits) {
        self.link.set_limits(&limits.clone().in_force());
    }
}
