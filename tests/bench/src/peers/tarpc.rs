//! tarpc: length-prefixed bincode over TCP, with `TCP_NODELAY` (which its own TCP helpers do not set).

use anyhow::Result;
use futures::{StreamExt, future};
use tarpc::{
    client, context,
    serde_transport::{self, Transport},
    server::{BaseChannel, Channel},
    tokio_util::codec::{Framed, LengthDelimitedCodec},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_serde::formats::Bincode;

use super::{Peer, announce};
use crate::service::{self, User};

#[tarpc::service]
pub trait Api {
    async fn add(a: i64, b: i64) -> i64;
    async fn echo(text: String) -> String;
    async fn get_user(id: u64) -> User;
    async fn wait(millis: u64) -> u64;
    async fn compute(millis: u64) -> u64;
}

#[derive(Clone)]
struct Service;

impl Api for Service {
    async fn add(self, _: context::Context, a: i64, b: i64) -> i64 {
        service::add(a, b)
    }

    async fn echo(self, _: context::Context, text: String) -> String {
        text
    }

    async fn get_user(self, _: context::Context, id: u64) -> User {
        service::user(id)
    }

    async fn wait(self, _: context::Context, millis: u64) -> u64 {
        service::wait(millis).await
    }

    async fn compute(self, _: context::Context, millis: u64) -> u64 {
        service::compute(millis)
    }
}

fn framed(stream: TcpStream) -> Result<Framed<TcpStream, LengthDelimitedCodec>> {
    stream.set_nodelay(true)?;
    Ok(LengthDelimitedCodec::builder().max_frame_length(16 << 20).new_framed(stream))
}

pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let transport: Transport<_, _, _, _> = serde_transport::new(framed(stream)?, Bincode::default());
        let requests = BaseChannel::with_defaults(transport).execute(Service.serve());
        tokio::spawn(requests.for_each(|request| {
            tokio::spawn(request);
            future::ready(())
        }));
    }
}

#[derive(Clone)]
pub struct Client(ApiClient);

impl super::Client for Client {
    async fn connect(_: Peer, server: &str) -> Result<Self> {
        let framed = framed(TcpStream::connect(server).await?)?;
        let transport = serde_transport::new(framed, Bincode::default());
        Ok(Self(ApiClient::new(client::Config::default(), transport).spawn()))
    }

    async fn add(&self, a: i64, b: i64) -> Result<i64> {
        Ok(self.0.add(context::current(), a, b).await?)
    }

    async fn echo(&self, text: String) -> Result<String> {
        Ok(self.0.echo(context::current(), text).await?)
    }

    async fn get_user(&self, id: u64) -> Result<User> {
        Ok(self.0.get_user(context::current(), id).await?)
    }

    async fn wait(&self, millis: u64) -> Result<u64> {
        Ok(self.0.wait(context::current(), millis).await?)
    }

    async fn compute(&self, millis: u64) -> Result<u64> {
        Ok(self.0.compute(context::current(), millis).await?)
    }
}
