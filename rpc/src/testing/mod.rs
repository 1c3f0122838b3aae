//! Tools for the tests of applications: sessions without a network, and callers without a server.
//!
//! | To test | use |
//! |---|---|
//! | a service, over a real session | [`pair`]; for an authenticated user, [`pair_as`] |
//! | a service, on its own | a [`Dispatcher`](crate::Dispatcher), which is a [`Caller`](crate::Caller) |
//! | code that calls a service, or subscribes | [`Script`], which plays the service |
//! | the calls that some code makes | [`Recorder`] |
//! | a misbehaving peer | [`session`], of which the test plays the peer byte by byte |

mod recorder;
mod script;

pub use recorder::{Recorded, Recorder};
pub use script::{Expected, Script};

use crate::{
    driver::{self, Settings, Start},
    jsonrpc::chain,
    limits::Limits,
    service::{Service, Services},
    session::{Membership, Session},
    transport::{ByteStream, Connection, Endpoint, Extensions, memory},
};

/// Two sessions that are connected to each other in memory. The first serves `here`, the second
/// serves `there`; `()` serves nothing.
///
/// So `pair((), CalcServer::new(MyCalc))` returns a client's session and the server's. Must be
/// called on a tokio runtime; works with paused time.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::rpc_service;
///
/// #[rpc_service]
/// trait Clock {
///     async fn hour(&self) -> u8;
/// }
///
/// struct Stopped;
/// impl Clock for Stopped {
///     async fn hour(&self) -> u8 { 12 }
/// }
///
/// let (session, _peer) = rpc::testing::pair((), ClockServer::new(Stopped));
/// assert_eq!(ClockClient::from(session).hour().await?, 12);
/// # Ok(()) }
/// ```
pub fn pair(here: impl Service, there: impl Service) -> (Session, Session) {
    pair_with(here, Limits::client(), there, Limits::server())
}

/// Like [`pair`], with limits for each of the two sessions.
pub fn pair_with(
    here: impl Service,
    limits_here: Limits,
    there: impl Service,
    limits_there: Limits,
) -> (Session, Session) {
    let (a, b) = memory(64 << 10);
    (session(a, here, limits_here), session(b, there, limits_there))
}

/// Like [`pair`], with `extensions` for the second session, as a transport or a login would set
/// them. Handlers find them in their [`Context::extensions`](crate::Context::extensions), and an
/// HTTP request among them in [`Context::http`](crate::Context::http). They can be changed later,
/// too, by [`Session::extensions`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Context, Extensions, rpc_service, testing};
///
/// struct User(String);
///
/// #[rpc_service]
/// trait Account {
///     async fn owner(&self, #[rpc(context)] cx: &Context) -> Option<String>;
/// }
///
/// struct Accounts;
/// impl Account for Accounts {
///     async fn owner(&self, cx: &Context) -> Option<String> {
///         cx.extensions().get::<User>().map(|user| user.0.clone())
///     }
/// }
///
/// let ann = Extensions::default();
/// ann.insert(User("Ann".to_owned()));
/// let (session, _peer) = testing::pair_as(ann, (), AccountServer::new(Accounts));
/// assert_eq!(AccountClient::from(session).owner().await?.as_deref(), Some("Ann"));
/// # Ok(()) }
/// ```
pub fn pair_as(extensions: Extensions, here: impl Service, there: impl Service) -> (Session, Session) {
    let (a, b) = memory(64 << 10);
    let there_connected = Connection { extensions, ..Connection::new(b, Endpoint::MEMORY) };
    (session(a, here, Limits::client()), start(there_connected, there, Limits::server()))
}

/// One session over your own stream, of which the test plays the peer byte by byte.
///
/// # Panics
///
/// If `service` has two methods of one name.
pub fn session(io: impl ByteStream, service: impl Service, limits: Limits) -> Session {
    start(Connection::new(io, Endpoint::MEMORY), service, limits)
}

fn start(connection: Connection, service: impl Service, limits: Limits) -> Session {
    let mut services = Services::default();
    services.add_shared(service);
    let services = services.build().unwrap_or_else(|error| panic!("{}", chain(&error)));
    let start = Start {
        connection,
        settings: &Settings::new(limits.in_force()),
        serves: services.serve(),
        owner: None,
        group: Membership::default(),
    };
    driver::start(start, |session| services.for_session(session))
}
