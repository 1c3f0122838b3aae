//! What exists only under a condition.

use rpc::{Limits, MethodInfo, ParamInfo, rpc_service, testing};
use rpc_tests::Raw;

#[rpc_service]
trait Conditional {
    fn first(&self) -> u8;
    #[cfg(any())]
    fn absent(&self) -> u8;
    #[cfg(not(any()))]
    fn present(&self) -> u8;
    #[rpc(params = "by_name")]
    async fn some(
        &self,
        a: u8,
        #[cfg(any())] missing: Missing,
        #[cfg(not(any()))] b: u8,
        #[cfg(any())]
        #[cfg(not(any()))]
        both: Missing,
        #[cfg(any())] missing_too: Missing,
    ) -> u8;
    fn either(&self, #[cfg(any())] number: Missing, #[cfg(not(any()))] number: u16) -> u16 {
        number
    }
    fn last(&self) -> u8;
}

struct Present;

impl Conditional for Present {
    fn first(&self) -> u8 {
        1
    }
    fn present(&self) -> u8 {
        2
    }
    async fn some(&self, a: u8, b: u8) -> u8 {
        a * b
    }
    fn last(&self) -> u8 {
        3
    }
}

#[tokio::test]
async fn methods_behind_one_that_is_not_there_are_still_found() {
    let (_serving, calling) = testing::pair(ConditionalServer::new(Present), ());
    let client = ConditionalClient::from(calling);
    assert_eq!(client.first().await.expect("first"), 1);
    assert_eq!(client.present().await.expect("present"), 2);
    assert_eq!(client.last().await.expect("last"), 3);
}

#[tokio::test]
async fn a_parameter_that_is_not_there_is_not_asked_for() {
    let (serving, calling) = testing::pair(ConditionalServer::new(Present), ());
    let client = ConditionalClient::from(calling);
    assert_eq!(client.some(2, 3).await.expect("some"), 6);
    assert_eq!(client.either(7).await.expect("either"), 7);
    drop(serving);

    let names: Vec<_> = ConditionalServer::<Present>::METHODS.iter().map(MethodInfo::name).collect();
    assert_eq!(names, ["first", "present", "some", "either", "last"]);
    let params: Vec<_> =
        ConditionalServer::<Present>::METHODS[2].params().iter().map(ParamInfo::name).collect();
    assert_eq!(params, ["a", "b"]);

    let (mut peer, _session) = Raw::peer_of(ConditionalServer::new(Present), Limits::client());
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"some","params":[2,3]}"#).await;
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":6}"#).await;
}

#[cfg(any())]
#[rpc_service]
trait NotThere {
    fn nothing(&self, missing: Missing);
}

#[rpc_service]
#[cfg(any())]
trait NotThereEither {
    fn nothing(&self, missing: Missing);
}

/// Nothing was generated for the two above.
#[allow(dead_code)]
struct NotThereClient;
#[allow(dead_code)]
struct NotThereEitherClient;
