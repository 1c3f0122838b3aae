//! What a wallet asks. One session, a client for each trait that is of interest.

use std::error::Error;

use futures::StreamExt;
use rpc::{CallError, Session};

use crate::{
    chain::Index,
    protocol::{
        BlocksClient, ElectrumError, IdentityClient, MempoolClient, ScripthashClient, TipClient,
        TransactionsClient, Versions,
    },
};

const ALICE: &str = "8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161";

/// What it asks any server.
pub(crate) async fn ask_who_is_there(session: &Session) -> Result<(), Box<dyn Error>> {
    println!("1. Who is there");
    let identity = IdentityClient::from(session.clone());
    let (software, protocol) =
        identity.version("wallet", Versions::Between("1.2".into(), "1.4".into())).await?;
    println!("   {software} speaks {protocol}: {:?}", identity.features().await?);
    let mut tips = TipClient::from(session.clone()).subscribe().await?;
    println!("   tip: {}", tips.next().await.ok_or("the chain has a tip")??.height);
    match identity.version("wallet", Versions::One("0.9".into())).await {
        Err(CallError::Service(ElectrumError::BadRequest(reason))) => println!("   refused: {reason}"),
        other => return Err(format!("unexpected: {other:?}").into()),
    }
    Ok(())
}

/// What it sees of a chain on which somebody pays and somebody mines.
pub(crate) async fn follow_a_payment(session: &Session, index: &Index) -> Result<(), Box<dyn Error>> {
    let identity = IdentityClient::from(session.clone());
    let blocks = BlocksClient::from(session.clone());
    let scripthash = ScripthashClient::from(session.clone());
    let transactions = TransactionsClient::from(session.clone());
    let mempool = MempoolClient::from(session.clone());

    println!("2. Two subscriptions. The first item of each is the reply");
    let mut tips = TipClient::from(session.clone()).subscribe().await?;
    let mut statuses = scripthash.subscribe(ALICE).await?;
    println!("   tip: {}", tips.next().await.ok_or("the chain has a tip")??.height);
    println!("   status: {:?}", statuses.next().await.ok_or("null is an item, too")??);

    println!("3. A payment to Alice: her status changes, and again with the next block");
    match transactions.broadcast(&format!("{ALICE}:5")).await {
        Err(CallError::Service(ElectrumError::BadRequest(reason))) => println!("   {reason}"),
        other => return Err(format!("unexpected: {other:?}").into()),
    }
    let txid = transactions.broadcast(&format!("{ALICE}:70000")).await?;
    println!("   status: {:?}", statuses.next().await.ok_or("she was paid")??);
    index.mine();
    println!("   tip: {}", tips.next().await.ok_or("there is a block")??.height);
    println!("   status: {:?}", statuses.next().await.ok_or("it is in the block")??);

    println!("4. What a wallet asks when it starts: a batch, over the methods of several traits");
    let (balance, history, tx, headers, fees, ()) = session
        .try_batch((
            scripthash.get_balance(ALICE),
            scripthash.get_history(ALICE),
            transactions.get(&txid, true),
            blocks.headers(0, 2016),
            mempool.get_fee_histogram(),
            identity.ping(),
        ))
        .await?;
    println!("   {balance:?}, {} transaction(s): {tx:?}", history.len());
    println!("   {} headers, fees {fees:?}", headers.count);
    // Where some may fail, each has a result of its own.
    let (known, unknown) = (blocks.header(1), blocks.header(800_000));
    for header in session.batch([known, unknown]).await? {
        match header {
            Ok(hex) => println!("   header: {}…", &hex[..16]),
            Err(error) => println!("   header: {}", rpc::chain(&error)),
        }
    }
    Ok(())
}
