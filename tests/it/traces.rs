//! What is logged of a request is the same over every transport: a span around its handler, and one event at its end.

mod acts;
mod endings;
mod road;
mod sessions;
mod ways;

/// A module for each transport, with a test for each way in which requests end there.
macro_rules! over {
    ($($road:ident: $($part:ident)*;)*) => {$(
        mod $road {
            $(
                #[tokio::test]
                async fn $part() {
                    super::endings::$part(super::road::$road).await;
                }
            )*
        }
    )*};
}

over! {
    memory: every_outcome timeouts the_end_of_the_caller cancellation;
    tcp: every_outcome timeouts the_end_of_the_caller cancellation;
    websocket: every_outcome timeouts the_end_of_the_caller cancellation;
    http1: every_outcome timeouts the_end_of_the_caller;
    http2: every_outcome timeouts the_end_of_the_caller;
    dispatcher: every_outcome timeouts the_end_of_the_caller;
}
