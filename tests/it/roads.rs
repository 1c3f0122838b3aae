//! One conversation over every road that two sides can be connected by: each transport, each framing, both directions, and every
//! version that fits; over HTTP as much of it as needs no session. A new road is one line in here.

mod calls;
mod posts;
mod road;
mod sessions;
mod sides;

use rpc::{
    HttpClientBuilder,
    framing::{
        CodecFramer, ContentLengthFramer, JsonFramer, LengthPrefixedFramer, NetstringFramer, NewlineFramer,
    },
    transport::websocket::{WebSocketClient, WebSocketServer},
};
use tokio_util::codec::{LengthDelimitedCodec, LinesCodec};

use road::Road;

/// A module for each road, with a test for each part of the conversation.
macro_rules! roads {
    ($kind:ident { $($name:ident = $road:expr;)* }) => {$(
        mod $name {
            use super::*;

            roads! { $kind over $road }
        }
    )*};
    (sessions over $road:expr) => {
        roads! { calls_and $road =>
            sessions: subscriptions call_backs frames_over_the_limit a_close_in_good_order loss_of_the_connection
        }
    };
    (posts over $road:expr) => {
        roads! { calls_and $road => posts: bodies_over_the_limit }
    };
    (calls_and $road:expr => $module:ident: $($part:ident)*) => {
        roads! { $road => calls: calls_and_notifications typed_errors batches replies_over_the_limit }
        roads! { $road => $module: $($part)* }
    };
    ($road:expr => $module:ident: $($part:ident)*) => {$(
        #[tokio::test]
        async fn $part() {
            for versions in road::VERSIONS {
                $module::$part(&$road, versions).await;
            }
        }
    )*};
}

roads! { sessions {
    tcp = Road::at("tcp://127.0.0.1:0");
    tcp_v6 = Road::at("tcp://[::1]:0");
    tcp_by_name = Road::at("tcp://localhost:0");
    tcp_through_a_proxy = Road::at("tcp://127.0.0.1:0").proxied();
    tcp_content_length = Road::at("tcp://127.0.0.1:0").framed(ContentLengthFramer::new());
    tcp_prefix_u16_be = Road::at("tcp://127.0.0.1:0").framed(LengthPrefixedFramer::u16_be()).small();
    tcp_prefix_u16_le = Road::at("tcp://127.0.0.1:0").framed(LengthPrefixedFramer::u16_le()).small();
    tcp_prefix_u32_be = Road::at("tcp://127.0.0.1:0").framed(LengthPrefixedFramer::u32_be());
    tcp_prefix_u32_le = Road::at("tcp://127.0.0.1:0").framed(LengthPrefixedFramer::u32_le());
    tcp_prefix_u64_be = Road::at("tcp://127.0.0.1:0").framed(LengthPrefixedFramer::u64_be());
    tcp_prefix_u64_le = Road::at("tcp://127.0.0.1:0").framed(LengthPrefixedFramer::u64_le());
    tcp_netstring = Road::at("tcp://127.0.0.1:0").framed(NetstringFramer::new());
    tcp_values = Road::at("tcp://127.0.0.1:0").framed(JsonFramer::new());
    tcp_values_unseparated = Road::at("tcp://127.0.0.1:0").framed(JsonFramer::new().unseparated());
    tcp_values_with_blank_lines = Road::at("tcp://127.0.0.1:0").framed(JsonFramer::new().blank_lines());
    tcp_codec_of_lengths = Road::at("tcp://127.0.0.1:0").framed(CodecFramer::new(LengthDelimitedCodec::new()));
    tcp_codec_of_lines = Road::at("tcp://127.0.0.1:0").framed(CodecFramer::text(LinesCodec::new()));
    tls = Road::at("tls://127.0.0.1:0").over_tls();
    tls_v6 = Road::at("tls://[::1]:0").over_tls();
    tls_by_name = Road::at("tls://localhost:0").over_tls();
    tls_through_a_proxy = Road::at("tls://127.0.0.1:0").over_tls().proxied();
    tls_content_length = Road::at("tls://127.0.0.1:0").over_tls().framed(ContentLengthFramer::new());
    websocket = Road::at("ws://127.0.0.1:0").strict();
    websocket_binary = Road::at("ws://127.0.0.1:0/some/path").strict()
        .listening(|listen| listen.websocket(WebSocketServer::new().binary()))
        .connecting(|connector| connector.websocket(WebSocketClient::new().binary()));
    websocket_on_the_port_of_http = Road::at("http://127.0.0.1:0").upgraded().strict();
    websocket_over_tls = Road::at("wss://localhost:0/path?query").over_tls().strict();
    websocket_through_a_proxy = Road::at("ws://127.0.0.1:0/some/path").strict().proxied();
    websocket_over_tls_through_a_proxy = Road::at("wss://127.0.0.1:0").over_tls().strict().proxied();
    unix = Road::at_a_file();
    unix_content_length = Road::at_a_file().framed(ContentLengthFramer::new());
    stdio_of_a_process = Road::at("tcp://127.0.0.1:0").by_a_process();
    a_stream_of_bytes = Road::at("tcp://127.0.0.1:0").over_a_stream();
    a_stream_of_messages = Road::at("tcp://127.0.0.1:0").over_messages();
    memory = Road::in_memory();
    memory_newline = Road::in_memory().framed(NewlineFramer::new());
}}

roads! { posts {
    http = Road::of_posts("http://127.0.0.1:0");
    http_v6 = Road::of_posts("http://[::1]:0/some/path?query");
    http_by_name = Road::of_posts("http://localhost:0");
    http2 = Road::of_posts("http://127.0.0.1:0").connecting(HttpClientBuilder::http2_only);
    http2_through_a_proxy = Road::of_posts("http://127.0.0.1:0").connecting(HttpClientBuilder::http2_only).proxied();
    https = Road::of_posts("https://127.0.0.1:0").over_tls();
    https_through_a_proxy = Road::of_posts("https://127.0.0.1:0/path").over_tls().proxied();
}}
