//! Two halves of a connection that carries messages, as one.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Sink, Stream};

/// A stream of messages and a sink for messages as one: see [`join_messages`].
#[derive(Debug)]
pub struct JoinedMessages<I, O> {
    stream: I,
    sink: O,
}

/// Makes one of a stream of messages and a sink for messages: a [`MessageChannel`](super::MessageChannel), where both are of
/// [`Bytes`](bytes::Bytes).
pub const fn join_messages<I, O>(stream: I, sink: O) -> JoinedMessages<I, O> {
    JoinedMessages { stream, sink }
}

impl<I: Stream + Unpin, O: Unpin> Stream for JoinedMessages<I, O> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Pin::new(&mut self.stream).poll_next(cx)
    }
}

impl<I: Unpin, O: Sink<M> + Unpin, M> Sink<M> for JoinedMessages<I, O> {
    type Error = O::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), O::Error>> {
        Pin::new(&mut self.sink).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: M) -> Result<(), O::Error> {
        Pin::new(&mut self.sink).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), O::Error>> {
        Pin::new(&mut self.sink).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), O::Error>> {
        Pin::new(&mut self.sink).poll_close(cx)
    }
}
