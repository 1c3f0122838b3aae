//! IPv6 addresses with a zone, on every scheme that has a host.

use std::net::Ipv6Addr;

use rpc::{
    ConnectError, Connector, Context, Endpoint, ErrorObject, HttpClient, Listen, Params, Router, Server,
    ServerHandle, Session,
};
use rpc_tests::{Authority, Issued, soon};

/// An address of this machine, and the name and the number of the interface that has it.
#[derive(Debug)]
struct Place {
    ip: Ipv6Addr,
    interface: String,
    index: u32,
}

/// Those of this machine that are of use here: `::1`, and link-local ones, which cannot be bound to
/// without their zone (proc(5), `/proc/net/if_inet6`).
#[cfg(target_os = "linux")]
fn places() -> Vec<Place> {
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let place = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let ip = Ipv6Addr::from_bits(u128::from_str_radix(fields.first()?, 16).ok()?);
        let index = u32::from_str_radix(fields.get(1)?, 16).ok()?;
        Some(Place { ip, index, interface: (*fields.get(5)?).to_owned() })
    };
    table
        .lines()
        .filter_map(place)
        .filter(|Place { ip, .. }| ip.is_loopback() || is_link_local(*ip))
        .collect()
}

/// Elsewhere the number of the loopback interface is 1 nearly always, and does not matter to `::1`.
#[cfg(not(target_os = "linux"))]
fn places() -> Vec<Place> {
    Vec::new()
}

fn is_link_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}

impl Place {
    /// The zone, as it may be written.
    fn zones(&self) -> [String; 2] {
        [self.interface.clone(), self.index.to_string()]
    }
}

/// Which host the request names, where there is one.
fn host() -> Router {
    Router::new().method("host", async |_: Params, cx: Context| {
        let host = cx.http().and_then(|request| Some(request.headers.get("host")?.to_str().ok()?.to_owned()));
        Ok::<_, ErrorObject>(host)
    })
}

async fn listening(listen: Listen) -> ServerHandle {
    Server::builder().service(host()).bind(listen).await.expect("it is this machine's").start()
}

fn at(scheme: &str, place: &Place, zone: &str, port: u16) -> String {
    format!("{scheme}://[{}%25{zone}]:{port}", place.ip)
}

async fn told(session: &Session) -> Option<String> {
    soon(session.call("host", ())).await.expect("an answer")
}

#[tokio::test]
async fn a_zone_is_a_name_or_a_number_and_both_connect_and_listen() {
    for place in places() {
        for zone in place.zones() {
            for scheme in ["tcp", "ws"] {
                let listen = Listen::at(&at(scheme, &place, &zone, 0)).expect("a URL");
                let server = listening(listen).await;
                let port = server.endpoint().port().expect("a port");
                for zone in place.zones() {
                    let session =
                        soon(rpc::connect(&at(scheme, &place, &zone, port))).await.expect("connected");
                    // RFC 6874, section 4: no zone in what is sent.
                    let named = (scheme == "ws").then(|| format!("[{}]:{port}", place.ip));
                    assert_eq!(told(&session).await, named);
                }
                // What the server says of itself can be connected to.
                let shown = server.endpoint().to_string();
                let session = soon(rpc::connect(&shown)).await.expect(&shown);
                told(&session).await;
                let peer = server.sessions()[0].peer().to_string();
                assert_eq!(peer.contains("%25"), is_link_local(place.ip), "{peer}");
                soon(server.shutdown()).await;
            }
        }
    }
}

#[tokio::test]
async fn no_zone_gets_into_a_host_header_or_into_the_name_of_a_certificate() {
    let authority = Authority::new();
    for place in places() {
        let issued: Issued = authority.issue(&[&place.ip.to_string()]);
        for scheme in ["tls", "wss", "http", "https"] {
            let zone = &place.interface;
            let mut listen = Listen::at(&at(scheme, &place, zone, 0)).expect("a URL");
            if scheme != "http" {
                listen = listen.tls(issued.server());
            }
            let server = listening(listen).await;
            let port = server.endpoint().port().expect("a port");
            let url = at(scheme, &place, zone, port);
            let named = match scheme {
                "http" | "https" => {
                    let client = HttpClient::builder(&url).expect("a URL").tls(authority.trusted());
                    let client =
                        if scheme == "http" { HttpClient::builder(&url).expect("a URL") } else { client };
                    soon(client.build().expect("a client").call("host", ())).await.expect("an answer")
                }
                _ => {
                    let connector = Connector::new(&url).expect("a URL").tls(authority.trusted());
                    told(&soon(connector.connect()).await.expect("connected")).await
                }
            };
            // Over HTTP/2 there is an `:authority` in its place.
            let expected = matches!(scheme, "wss" | "http").then(|| format!("[{}]:{port}", place.ip));
            assert_eq!(named, expected, "{scheme}");
            soon(server.shutdown()).await;
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_interface_that_is_not_there_is_named() {
    for scheme in ["tcp", "tls", "ws", "wss"] {
        let url = format!("{scheme}://[fe80::1%25no-such]:1");
        let error = rpc::connect(&url).await.expect_err("there is none");
        assert!(matches!(error, ConnectError::Io { .. }), "{error:?}");
        let told = "the zone `no-such` is no network interface of this machine";
        assert!(rpc::chain(&error).to_string().contains(told), "{error}");
    }
    let endpoint: Endpoint = "tcp://[fe80::1%25no-such]:1".parse().expect("a URL");
    let error = Server::builder().service(()).bind(endpoint).await.expect_err("there is none");
    let error = rpc::chain(&error).to_string();
    assert!(error.starts_with("cannot listen at tcp://[fe80::1%25no-such]:1: the zone `no-such`"), "{error}");
}
