//! Callers that change what goes through them.

/// Has `$wrapper<C>`, which holds a `caller`, call through it, with each message `changed` on its way.
macro_rules! calls_through {
    ($wrapper:ident) => {
        impl<C: $crate::Caller> $crate::Caller for $wrapper<C> {
            type Call<'a> = C::Call<'a>;
            type Notify<'a> = C::Notify<'a>;
            type Batch<'a> = C::Batch<'a>;

            fn call<'a>(&self, call: $crate::Outgoing<'a>) -> Self::Call<'a> {
                self.caller.call(self.changed(call))
            }

            fn notify<'a>(&self, notification: $crate::Outgoing<'a>) -> Self::Notify<'a> {
                self.caller.notify(self.changed(notification))
            }

            fn batch<'a>(&self, batch: $crate::OutgoingBatch<'a>) -> Self::Batch<'a> {
                self.caller.batch(batch.map(|outgoing| self.changed(outgoing)))
            }

            fn into_call<'a>(self, call: $crate::Outgoing<'a>) -> Self::Call<'a> {
                let call = self.changed(call);
                self.caller.into_call(call)
            }
        }

        impl<C: $crate::Subscriber> $crate::Subscriber for $wrapper<C> {
            fn subscribe<'a>(
                &self,
                subscription: $crate::OutgoingSubscription<'a>,
            ) -> futures::future::BoxFuture<'a, Result<$crate::RawSubscription, $crate::CallError>> {
                self.caller.subscribe(subscription.map(|outgoing| self.changed(outgoing)))
            }
        }
    };
}
