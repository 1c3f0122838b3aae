//! Errors print each cause once: an error says what its layer knows, and its source has the rest.
//! What prints an error with its causes (anyhow's `{:#}`, eyre, tracing-error) repeats nothing and
//! leaves nothing out.

mod calls;
mod logged;
mod methods;
mod table;
mod transports;

use std::{collections::BTreeSet, error::Error, fs, io, path::Path};

use table::Case;

/// A cause with a cause.
#[derive(Debug, thiserror::Error)]
#[error("the pump stopped")]
struct Pump {
    source: Valve,
}

#[derive(Debug, thiserror::Error)]
#[error("a valve stuck")]
struct Valve;

fn broken_pump() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, Pump { source: Valve })
}

/// What [`broken_pump`] says.
const PUMP: [&str; 2] = ["the pump stopped", "a valve stuck"];

fn all() -> Vec<Case> {
    [
        calls::cases(),
        calls::ends(),
        calls::frames(),
        transports::cases(),
        transports::proxies(),
        transports::tls(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn no_error_says_what_its_cause_says() {
    for case in all() {
        let mut error: &dyn Error = &*case.error;
        while let Some(cause) = error.source() {
            let (above, below) = (error.to_string(), cause.to_string());
            assert!(!below.is_empty() && !above.contains(&below), "{}: {above:?} has {below:?}", case.name());
            error = cause;
        }
    }
}

#[test]
fn an_error_with_its_causes_says_all_that_is_known() {
    for case in all() {
        let texts = case.texts().join(": ");
        for fact in &case.facts {
            assert_eq!(texts.matches(fact).count(), 1, "{}: {fact:?} in {texts:?}", case.name());
        }
        assert_eq!(rpc::chain(&*case.error).to_string(), texts, "{}", case.name());
    }
}

/// The table has every variant of every public enum of errors. There is no list of them but the sources.
#[test]
fn every_error_is_in_the_table() {
    let tried: BTreeSet<String> = all().iter().map(Case::name).collect();
    let mut declared = BTreeSet::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("rpc/src");
    for (kind, file) in [
        ("CallError", "session/error.rs"),
        ("CloseReason", "session/close_reason.rs"),
        ("BatchError", "session/error.rs"),
        ("SubscriptionError", "session/subscription.rs"),
        ("SendError", "session/messages.rs"),
        ("ReplyError", "jsonrpc/reply.rs"),
        ("ProtocolError", "jsonrpc/error.rs"),
        ("Unsupported", "jsonrpc/connection/machine.rs"),
        ("FrameError", "framing/framer.rs"),
        ("ConnectError", "client/dial.rs"),
        ("HttpClientError", "client/http/builder.rs"),
        ("BindError", "server/shared.rs"),
        ("HttpError", "transport/http.rs"),
        ("WebSocketError", "transport/websocket/options.rs"),
        ("SocksError", "transport/socks/error.rs"),
        ("TlsError", "transport/tls/error.rs"),
    ] {
        let text = fs::read_to_string(source.join(file)).expect("a source");
        let variants = table::variants(&text, kind);
        assert!(!variants.is_empty(), "{kind} is not in {file}");
        declared.extend(variants.iter().map(|variant| format!("{kind}::{variant}")));
    }
    assert_eq!(tried, declared);
}
