//! What browsers do to WebSockets, in Chromium: the API's own ways to close one, and pages, frames and workers that go away with theirs.

use rpc::CloseReason;
use serde_json::json;

use super::{
    closed_by_peer::{InFlight, Load, Way, it_ends},
    closed_by_us::{self, the_peer_is_told},
    floods::we_call_many_times,
    large::both_send_much,
    peer::Peer,
    road::{Keys, Road, patient},
};

/// Where a page has its WebSocket, and how that goes away. `peer` connects there.
const PLACES: [(&str, &str, &str); 4] = [
    (
        "a frame that is removed",
        r#"
        globalThis.frame = document.createElement("iframe");
        document.documentElement.append(frame);
        peer.connect = (url) => new frame.contentWindow.WebSocket(url);
        "#,
        "frame.remove()",
    ),
    (
        "a frame that navigates",
        r#"
        globalThis.frame = document.createElement("iframe");
        document.documentElement.append(frame);
        peer.connect = (url) => new frame.contentWindow.WebSocket(url);
        "#,
        r#"frame.src = "/robot/rpc.js""#,
    ),
    (
        "a window that is closed",
        r#"
        globalThis.popup = window.open("", "", "popup");
        peer.connect = (url) => new popup.WebSocket(url);
        "#,
        "popup.close()",
    ),
    (
        "a worker that is terminated",
        r#"
        const code = `
            onmessage = ({ data: url }) => {
                const ws = new WebSocket(url);
                onmessage = ({ data }) => ws.send(data);
                for (const type of ["open", "message"]) ws.addEventListener(type, ({ data }) => postMessage({ type, data }));
            };
        `;
        globalThis.worker = new Worker(URL.createObjectURL(new Blob([code])));
        const end = Object.assign(new EventTarget(), { send: (text) => worker.postMessage(text) });
        worker.onmessage = ({ data: { type, data } }) => end.dispatchEvent(Object.assign(new Event(type), { data }));
        peer.connect = (url) => (worker.postMessage(url), end);
        "#,
        "worker.terminate()",
    ),
];

#[tokio::test]
async fn each_way_in_which_a_page_ends_is_an_end() {
    let keys = Keys::new();
    let mut page = Peer::browse().await;
    for road in Road::some(&page) {
        for (place, connect, away) in PLACES {
            page.script(connect).await;
            let ends = road.open(&mut page, &keys, patient()).await;
            println!("{place}");
            let calls = InFlight::begin(&mut page, &ends).await;
            page.script(away).await;
            goes_away(&calls.have_ended(&ends).await);
        }
        page.reload().await;

        let ends = road.open(&mut page, &keys, patient()).await;
        println!("the page itself");
        let calls = InFlight::begin(&mut page, &ends).await;
        page.reload().await;
        goes_away(&calls.have_ended(&ends).await);
    }
    for road in Road::of(&page) {
        for way in [Way::Close, Way::Normal, Way::Own] {
            page = it_ends(page, &keys, road, way, Load::Calls).await.expect("it is there");
        }
    }
    assert!(it_ends(page, &keys, Road::Ws, Way::Kill, Load::Calls).await.is_none());
}

/// HTML has it that the WebSockets of what goes away are closed with 1001.
fn goes_away(cause: &CloseReason) {
    assert!(matches!(cause, CloseReason::PeerClosed { code: 1001, .. }), "{cause:?}");
}

#[tokio::test]
async fn a_page_is_told_why_we_close_and_sends_much() {
    let keys = Keys::new();
    let mut page = Peer::browse().await;
    for road in Road::of(&page) {
        for way in closed_by_us::Way::ALL {
            the_peer_is_told(&mut page, &keys, road, way).await;
        }
    }
    for road in Road::some(&page) {
        both_send_much(&mut page, &keys, road).await;
        let ends = road.open(&mut page, &keys, patient()).await;
        let (ours, theirs) = tokio::join!(we_call_many_times(&ends, 500), page.run("many", json!([500])));
        assert_eq!((ours, theirs), ((), json!(500)));
        assert_eq!(page.run("empty", json!([2])).await, 2);
    }
}
