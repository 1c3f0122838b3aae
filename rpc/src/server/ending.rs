//! How a server ends: it stops listening, lets its sessions finish, and is closed.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{ServerHandle, handle::Shared};
use crate::session::{CloseReason, Session};

/// How far a server has come. It only ever goes on to a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Running,
    /// Nobody is accepted any more.
    NotListening,
    /// Sessions are ending, too.
    Stopping,
    Stopped,
}

impl Stage {
    /// Whether peers that arrive are accepted.
    pub(super) fn accepts(self) -> bool {
        self == Self::Running
    }

    /// Whether sessions that are attached go on.
    pub(super) fn serves(self) -> bool {
        self < Self::Stopping
    }
}

impl Shared {
    /// Goes on to a later stage. False where it was reached already.
    fn enter(&self, next: Stage) -> bool {
        self.stage.send_if_modified(|stage| {
            let is_later = *stage < next;
            if is_later {
                *stage = next;
            }
            is_later
        })
    }

    fn start_shutdown(self: &Arc<Self>) {
        if self.enter(Stage::Stopping) {
            tokio::spawn(Arc::clone(self).stop());
        }
    }

    /// Where the last listener has ended by itself, so has what the server is for.
    pub(super) fn close_unless_listening(self: &Arc<Self>) {
        if self.listening.count() == 0 && self.stage.borrow().accepts() {
            self.start_shutdown();
        }
    }

    /// Waits until nobody is accepted any more, then closes the sessions and waits for their ends.
    async fn stop(self: Arc<Self>) {
        self.listening.until_none().await;
        let sessions: Vec<Session> = self.sessions().values().cloned().collect();
        for session in &sessions {
            session.link().start_close(CloseReason::Shutdown);
        }
        let closed = async {
            for session in sessions {
                session.closed().await;
            }
        };
        #[cfg(feature = "http")]
        futures::future::join(closed, self.http.all_ended(self.limits().close_timeout)).await;
        #[cfg(not(feature = "http"))]
        closed.await;
        self.enter(Stage::Stopped);
    }
}

impl ServerHandle {
    /// Closes every listener, and returns when nobody listens any more. Sessions go on, connections of HTTP too, and further ones may be
    /// [attached](Self::attach). Calling it again waits for the same end. Dropping the future does not undo it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use rpc::{Context, ErrorObject, Params, Router, Server};
    /// # let router = Router::new().method("ping", async |_: Params, _: Context| Ok::<_, ErrorObject>("pong"));
    /// let server = Server::builder().service(router).bind("tcp://127.0.0.1:0").await?;
    /// let url = server.endpoint().to_string();
    /// let handle = server.start();
    /// let session = rpc::connect(&url).await?;
    /// # session.call::<String>("ping", ()).await?;
    ///
    /// handle.stop_listening().await;
    /// assert!(rpc::connect(&url).await.is_err());
    /// assert_eq!(session.call::<String>("ping", ()).await?, "pong");
    /// # handle.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub async fn stop_listening(&self) {
        self.shared.enter(Stage::NotListening);
        self.shared.listening.until_none().await;
    }

    /// Stops in good order: accepts nobody any more, lets handlers finish, closes every session, and returns when all have ended.
    ///
    /// A session that takes longer than [`Limits::close_timeout`](crate::Limits::close_timeout) is ended by force; idle ones end at
    /// once. So it is with connections of HTTP, which finish the requests at hand, and with requests that another server has handed to an
    /// [`http_service`](Self::http_service), which answers 503 from then on. Work that handlers have
    /// [shielded](crate::Context::shield) is waited for as long. Calling it again waits for the same end. Dropping the future does not undo it.
    pub async fn shutdown(&self) {
        self.shared.start_shutdown();
        self.closed().await;
    }

    /// Like [`shutdown`](Self::shutdown), and ends by force what has not ended after `patience`, however long the sessions may take
    /// by their limits. Of several deadlines the earliest counts, also where a shutdown is under way already.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # let handle = rpc::Server::builder().service(()).build()?.start();
    /// handle.shutdown_within(Duration::from_secs(5)).await;
    /// # Ok(()) }
    /// ```
    pub async fn shutdown_within(&self, patience: Duration) {
        self.shared.start_shutdown();
        let server = self.clone();
        // A task of its own: it goes on when nobody waits for it any more.
        tokio::spawn(async move {
            if timeout(patience, server.closed()).await.is_err() {
                for session in server.sessions() {
                    session.link().abort(CloseReason::Shutdown);
                }
                #[cfg(feature = "http")]
                server.shared.http.force();
            }
        });
        self.closed().await;
    }

    /// Waits until the server was shut down. Cancel safe.
    ///
    /// A server that listens at `stdio:` and nowhere else (or nowhere else any more) shuts down by itself when its session there has ended:
    /// nobody else can come. So this is what the `main` of such a program waits for.
    ///
    /// ```no_run
    /// # fn router() -> rpc::Router { rpc::Router::new() }
    /// #[tokio::main]
    /// async fn main() -> Result<(), rpc::BindError> {
    ///     let server = rpc::Server::builder().service(router()).bind("stdio:").await?;
    ///     server.start().closed().await;
    ///     Ok(())
    /// }
    /// ```
    pub async fn closed(&self) {
        let mut stage = self.shared.stage.subscribe();
        // The sender lives in `self`: it cannot be gone.
        let _stopped = stage.wait_for(|stage| *stage == Stage::Stopped).await;
    }
}
