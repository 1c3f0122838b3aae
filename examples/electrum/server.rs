//! The server: one value that implements the traits, and where it listens.

use std::{error::Error, sync::Arc};

use futures::Stream;
use rpc::{Groups, Limits, Listen, Protocol, Server, ServerHandle, transport::tls::TlsServer};

use crate::{
    chain::{Chain, HEADERS, Index, Payment, digest},
    protocol::*,
};

const PROTOCOL: &str = "1.4";

/// Listens twice, as Electrum's servers do: over TLS, and over TCP for those that cannot do better.
pub(crate) async fn start(index: &Arc<Index>, tls: TlsServer) -> Result<ServerHandle, Box<dyn Error>> {
    // One value, six services: each takes a handle of it. The limits are for peers from all over the
    // internet, who have them together where they come from one network.
    let server = Server::builder()
        .protocol(Protocol::Detect)
        .limits(Limits::public())
        .groups(Groups::by_subnet())
        .service(IdentityServer::from(Arc::clone(index)))
        .service(BlocksServer::from(Arc::clone(index)))
        .service(TipServer::from(Arc::clone(index)))
        .service(ScripthashServer::from(Arc::clone(index)))
        .service(TransactionsServer::from(Arc::clone(index)))
        .service(MempoolServer::from(Arc::clone(index)))
        .bind(Listen::at("tls://127.0.0.1:0")?.tls(tls))
        .await?
        .and_bind("tcp://127.0.0.1:0")
        .await?;
    Ok(server.start())
}

impl Identity for Index {
    async fn version(
        &self,
        client_name: &str,
        protocol: Versions,
    ) -> Result<(String, String), ElectrumError> {
        println!("      server: {client_name:?} speaks {protocol:?}");
        let (oldest, newest) = match &protocol {
            Versions::One(version) => (version, version),
            Versions::Between(oldest, newest) => (oldest, newest),
        };
        match (number(oldest)..=number(newest)).contains(&number(PROTOCOL)) {
            true => Ok(("example 0.1".into(), PROTOCOL.into())),
            false => Err(ElectrumError::BadRequest(format!("only {PROTOCOL} is spoken here"))),
        }
    }

    fn features(&self) -> Features {
        Features {
            server_version: "example 0.1".into(),
            protocol_min: PROTOCOL.into(),
            protocol_max: PROTOCOL.into(),
            pruning: None,
        }
    }

    fn ping(&self) {}
}

impl Blocks for Index {
    async fn header(&self, height: usize) -> Result<String, ElectrumError> {
        match height <= self.chain.borrow().height {
            true => Ok(HEADERS[height].to_owned()),
            false => Err(ElectrumError::BadRequest(format!("height {height} out of range"))),
        }
    }

    async fn headers(&self, start_height: usize, count: usize) -> HeaderChunk {
        let known = &HEADERS[..=self.chain.borrow().height];
        let chunk: Vec<_> = known.iter().copied().skip(start_height).take(count).collect();
        HeaderChunk { count: chunk.len(), hex: chunk.concat(), max: 2016 }
    }
}

impl Tip for Index {
    async fn subscribe(&self) -> impl Stream<Item = Header> {
        self.follow(Chain::tip)
    }
}

impl Scripthash for Index {
    async fn get_balance(&self, scripthash: &str) -> Balance {
        let chain = self.chain.borrow();
        let (confirmed, unconfirmed): (Vec<&Payment>, Vec<&Payment>) = chain
            .payments
            .values()
            .filter(|payment| payment.to == scripthash)
            .partition(|payment| payment.height > 0);
        let sum = |payments: Vec<&Payment>| payments.iter().map(|payment| payment.amount).sum();
        Balance { confirmed: sum(confirmed), unconfirmed: sum(unconfirmed) }
    }

    async fn get_history(&self, scripthash: &str) -> Vec<HistoryEntry> {
        self.chain.borrow().history(scripthash)
    }

    /// The stream borrows the service and the parameter: both live as long as the subscription.
    async fn subscribe(&self, scripthash: &str) -> impl Stream<Item = Option<String>> {
        self.follow(move |chain| chain.status(scripthash))
    }
}

impl Transactions for Index {
    async fn get(&self, txid: &str, verbose: bool) -> Result<Transaction, ElectrumError> {
        let chain = self.chain.borrow();
        let Some(Payment { raw, height, .. }) = chain.payments.get(txid) else {
            return Err(ElectrumError::Daemon(format!("no such transaction: {txid}")));
        };
        Ok(match verbose {
            false => Transaction::Raw(raw.clone()),
            true => Transaction::Verbose {
                txid: txid.to_owned(),
                hex: raw.clone(),
                confirmations: if *height == 0 { 0 } else { chain.height - height + 1 },
            },
        })
    }

    async fn broadcast(&self, raw: &str) -> Result<String, ElectrumError> {
        let rejected =
            |why| ElectrumError::BadRequest(format!("the transaction was rejected by network rules: {why}"));
        let (to, amount) = raw.split_once(':').ok_or_else(|| rejected("TX decode failed"))?;
        let amount = amount.parse().map_err(|_| rejected("TX decode failed"))?;
        if amount < 546 {
            return Err(rejected("dust"));
        }
        let txid = digest(&raw);
        let payment = Payment { raw: raw.to_owned(), to: to.to_owned(), amount, height: 0 };
        self.chain.send_modify(|chain| {
            chain.payments.insert(txid.clone(), payment);
        });
        Ok(txid)
    }
}

impl Mempool for Index {
    async fn get_fee_histogram(&self) -> Vec<(f64, u64)> {
        let waiting = self.chain.borrow().payments.values().filter(|payment| payment.height == 0).count();
        vec![(12.5, 141 * waiting as u64)]
    }
}

/// Of a version: 1.10 is newer than 1.4.
fn number(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}
