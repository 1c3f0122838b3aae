//! Whom the platform trusts: what a URL does by itself.

use rpc::{ConnectError, transport::tls::TlsError};
use rpc_tests::{Authority, soon};
#[cfg(target_os = "linux")]
use {
    super::{files::Scratch, ping},
    rpc::transport::tls::TlsServer,
    rpc_tests::{Child, is_child},
    std::{env, path::Path},
};

use super::listening;

/// What names the roots of the platform, where they are files.
#[cfg(target_os = "linux")]
const ROOTS: &str = "SSL_CERT_FILE";

#[tokio::test]
async fn a_url_by_itself_trusts_whom_the_platform_trusts() {
    let server = listening(&Authority::new().issue(&["localhost"]).server()).await;
    let url = format!("tls://localhost:{}", server.endpoint().port().expect("it has one"));
    let error = soon(rpc::connect(&url)).await.expect_err("no platform trusts a root of ours");
    assert!(
        matches!(
            error,
            ConnectError::Tls { source: TlsError::Certificate { .. } | TlsError::Platform(_), .. }
        ),
        "{error:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_root_that_the_platform_trusts_is_trusted() {
    let (directory, authority) = (Scratch::new("platform"), Authority::new());
    let issued = authority.issue(&["localhost"]);
    let roots = directory.with("roots.pem", authority.pem());
    directory.with("chain.pem", issued.certificate.pem());
    directory.with("key.pem", issued.key.serialize_pem());
    // The environment is read when the process first connects.
    let mut child =
        Child::start("tls::platform::a_process_on_such_a_platform", (ROOTS, &roots.to_string_lossy()));
    assert_eq!(child.printed("answered: "), "[]");
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "run as a process of its own by the test above"]
async fn a_process_on_such_a_platform() {
    if !is_child() {
        return;
    }
    let roots = env::var_os(ROOTS).expect("the roots");
    let directory = Path::new(&roots).parent().expect("a directory");
    let tls = TlsServer::from_pem_files(directory.join("chain.pem"), directory.join("key.pem"));
    let server = listening(&tls.expect("both are there")).await;
    let url = format!("tls://localhost:{}", server.endpoint().port().expect("it has one"));
    let session = soon(rpc::connect(&url)).await.expect("it is trusted");
    println!("\nanswered: {:?}", ping(&session).await);
}
