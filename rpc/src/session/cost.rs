//! What the peer costs, for the application to read and to add to.

use tokio::time::Instant;

use super::Session;

impl Session {
    /// What the peer has cost: what it did, by the numbers in [`Limits`](crate::Limits), and what was [added](Self::add_cost), less what
    /// time has forgiven, and the [extra cost](crate::Hooks::extra_cost). Bytes that do not come to a cost of 1 yet are not in it.
    ///
    /// Where its [group](crate::Groups) has cost more than the session, it is that.
    ///
    /// From [`Limits::cost_soft`](crate::Limits::cost_soft) on the peer is slowed down, at
    /// [`Limits::cost_hard`](crate::Limits::cost_hard) the session ends.
    pub fn cost(&self) -> f64 {
        self.link.add_cost(0.0, Instant::now()) + self.extra_cost()
    }

    /// See [`Hooks::extra_cost`](crate::Hooks::extra_cost).
    pub(crate) fn extra_cost(&self) -> f64 {
        let extra = self.link.hooks.run(|hooks| hooks.extra_cost(self)).unwrap_or(0.0);
        if extra.is_nan() { 0.0 } else { extra }
    }

    /// Charges the peer for what only the application knows: a search through everything, an answer that had to be computed. A negative
    /// amount is given back; the cost never falls below 0.
    ///
    /// What follows from it (see [`cost`](Self::cost)) follows when the session's loop has its next turn.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Context, ErrorObject, Params, Router};
    ///
    /// let router = Router::new().method("search", async |_: Params, cx: Context| {
    ///     cx.session().add_cost(50.0);
    ///     Ok::<_, ErrorObject>("nothing found")
    /// });
    /// let (session, peer) = rpc::testing::pair((), router);
    /// session.call::<String>("search", ()).await?;
    /// assert_eq!(peer.cost().round(), 50.0);
    /// # Ok(()) }
    /// ```
    pub fn add_cost(&self, amount: f64) {
        self.link.add_application_cost(amount, Instant::now());
    }
}
