//! Values that are null, empty or absent, wherever a value may stand: they are values like others.

mod errors;
mod missing;
mod values;

use rpc::{Connector, Protocol, Service, Session};

/// What the side that serves speaks, and what the one that calls does.
const DIALECTS: [(Protocol, Protocol); 7] = [
    (Protocol::V2, Protocol::V2),
    (Protocol::V1, Protocol::V1),
    (Protocol::Loose, Protocol::Loose),
    (Protocol::Loose, Protocol::V2),
    (Protocol::Detect, Protocol::V1),
    (Protocol::Detect, Protocol::V2),
    (Protocol::Detect, Protocol::Loose),
];

/// A session that calls, and the one that serves.
async fn sessions((there, here): (Protocol, Protocol), service: impl Service) -> (Session, Session) {
    let (io, other) = rpc::transport::memory(64 << 10);
    let serving = Connector::over(other).protocol(there).service(service).connect().await.expect("serves");
    let calling = Connector::over(io).protocol(here).connect().await.expect("calls");
    (calling, serving)
}
