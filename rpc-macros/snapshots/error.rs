#[allow(deprecated, clippy::all, clippy::pedantic)]
#[automatically_derived]
impl path::to::rpc::RpcError for DivError {
    fn to_error_object(&self) -> path::to::rpc::ErrorObject {
        match self {
            Self::ByZero { .. } => path::to::rpc::private::error_object(-32001, self),
            Self::NotEnough { have: field0, r#type: field1 } => {
                path::to::rpc::private::error_object_named(
                    -32002,
                    self,
                    &["have", "type"],
                    (field0, field1),
                )
            }
            Self::Other(value) => {
                path::to::rpc::private::error_object_value(7, self, value)
            }
            Self::Pair(field0, field1) => {
                path::to::rpc::private::error_object_tuple(8, self, (field0, field1))
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
                    let (field0, field1): (u64, String) = path::to::rpc::private::error_fields_named(
                        error,
                        &["have", "type"],
                    )?;
                    Self::NotEnough {
                        have: field0,
                        r#type: field1,
                    }
                })
            }
            7 => {
                ::core::option::Option::Some(
                    Self::Other(path::to::rpc::private::error_field::<String>(error)?),
                )
            }
            8 => {
                ::core::option::Option::Some({
                    let (field0, field1): (String, u8) = path::to::rpc::private::error_fields_tuple(
                        error,
                    )?;
                    Self::Pair(field0, field1)
                })
            }
            _ => ::core::option::Option::None,
        }
    }
}
