//! What the server knows: a chain of blocks with payments in them, and who watches it.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use futures::{Stream, stream};
use tokio::sync::watch;

use crate::protocol::{Header, HistoryEntry};

/// The first blocks of Bitcoin.
pub(crate) const HEADERS: [&str; 3] = [
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
    "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299",
    "010000004860eb18bf1b1620e37e9490fc8a427514416fd75159ab86688e9a8300000000d5fdcc541e25de1c7a5addedf24858b8bb665c9f36ef744ee42c316022c90f9bb0bc6649ffff001d08d2bd61",
];

/// A transaction pays one amount to one script. `raw` is `scripthash:amount`, which a node would parse for real.
pub(crate) struct Payment {
    pub(crate) raw: String,
    pub(crate) to: String,
    pub(crate) amount: u64,
    /// 0 while it waits for a block.
    pub(crate) height: usize,
}

#[derive(Default)]
pub(crate) struct Chain {
    pub(crate) height: usize,
    pub(crate) payments: BTreeMap<String, Payment>,
}

impl Chain {
    pub(crate) fn tip(&self) -> Header {
        Header { height: self.height, hex: HEADERS[self.height].to_owned() }
    }

    pub(crate) fn history(&self, scripthash: &str) -> Vec<HistoryEntry> {
        let paid = self.payments.iter().filter(|(_, payment)| payment.to == scripthash);
        paid.map(|(txid, payment)| HistoryEntry { tx_hash: txid.clone(), height: payment.height }).collect()
    }

    pub(crate) fn status(&self, scripthash: &str) -> Option<String> {
        let history = self.history(scripthash);
        (!history.is_empty()).then(|| digest(&history))
    }
}

/// Stands in for SHA-256.
pub(crate) fn digest(value: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Whoever is subscribed watches the chain: changing it is publishing.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) chain: watch::Sender<Chain>,
}

impl Index {
    /// Finds a block, with all payments that wait for one.
    pub(crate) fn mine(&self) {
        self.chain.send_modify(|chain| {
            chain.height += 1;
            for payment in chain.payments.values_mut().filter(|payment| payment.height == 0) {
                payment.height = chain.height;
            }
        });
    }

    /// What `view` sees of the chain: now, and whenever it has become something else.
    pub(crate) fn follow<T>(&self, view: impl Fn(&Chain) -> T + Send + Sync) -> impl Stream<Item = T> + Send
    where
        T: Clone + PartialEq + Send + Sync,
    {
        stream::unfold((self.chain.subscribe(), view, None), |(mut chain, view, last)| async move {
            let mut now = None;
            let is_news = |chain: &Chain| {
                now = Some(view(chain));
                now != last
            };
            // Ends with the index, and so does the stream.
            chain.wait_for(is_news).await.ok()?;
            Some((now.clone()?, (chain, view, now)))
        })
    }
}
