#[allow(deprecated, clippy::all, clippy::pedantic)]
#[automatically_derived]
impl path::to::rpc::RpcError for DivError {
    fn to_error_object(&self) -> path::to::rpc::ErrorObject {
        match self {
            Self::ByZero { .. } => path::to::rpc::private::error_object(-32001, self),
            Self::NotEnough { have: __field0, r#type: __field1 } => {
                path::to::rpc::private::error_object_named(
                    -32002,
                    self,
                    &["have", "type"],
                    (__field0, __field1),
                )
            }
            Self::Other(__field0) => {
                path::to::rpc::private::error_object_value(7, self, __field0)
            }
            Self::Pair(__field0, __field1) => {
                path::to::rpc::private::error_object_tuple(8, self, (__field0, __field1))
            }
        }
    }
    fn from_error_object(
        error: &path::to::rpc::ErrorObject,
    ) -> ::core::option::Option<Self> {
        match error.code().value() {
            -32001 => ::core::option::Option::Some(Self::ByZero {}),
            -32002 => {
                ::core::option::Option::Some({
                    let (__field0, __field1) = path::to::rpc::private::error_fields_named(
                        error,
                        &["have", "type"],
                        (
                            path::to::rpc::private::Of::<u64>,
                            path::to::rpc::private::Of::<String>,
                        ),
                    )?;
                    Self::NotEnough {
                        have: __field0,
                        r#type: __field1,
                    }
                })
            }
            7 => {
                ::core::option::Option::Some(
                    Self::Other(
                        path::to::rpc::private::error_field(
                            error,
                            path::to::rpc::private::Of::<String>,
                        )?,
                    ),
                )
            }
            8 => {
                ::core::option::Option::Some({
                    let (__field0, __field1) = path::to::rpc::private::error_field(
                        error,
                        (
                            path::to::rpc::private::Of::<String>,
                            path::to::rpc::private::Of::<u8>,
                        ),
                    )?;
                    Self::Pair(__field0, __field1)
                })
            }
            _ => ::core::option::Option::None,
        }
    }
}
