//! The part of the conversation that only HTTP has.

use rpc::{CallError, HttpClientBuilder, HttpError, Limits};

use super::{
    calls::clients,
    road::{Road, Versions},
    sides::Sides,
};

pub(super) async fn bodies_over_the_limit(road: &Road<HttpClientBuilder>, versions: Versions) {
    let (mut client, mut server) = (Limits::client(), Limits::server());
    (client.frame_size, server.frame_size) = (20_000, 10_000);
    let sides = road.open_with(versions, client, server).await;
    for (caller, _) in sides.pairs() {
        let (calc, work) = clients(caller);
        let name = "x".repeat(11_000);
        let error = calc.greet(&name).await.expect_err("it is too long for the server");
        assert!(matches!(&error, CallError::Rpc(error) if error.code().value() == -32600), "{error:?}");
        let error = work.long(21_000).await.expect_err("it is too long for the client");
        assert!(matches!(error, CallError::Http(HttpError::TooLarge { limit: 20_000, .. })), "{error:?}");
        assert_eq!(calc.add(1, 2).await.expect("it goes on"), 3);
    }
    sides.end().await;
}
