//! The encoding of messages and of saved state. Only this module knows that it is bincode.
//!
//! bincode does not encode types: it can read the bytes of one struct as another struct, without an error. So the callers name
//! the type that they decode, and bytes that are left over are an error here.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes could not be decoded as a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(String);

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

/// Encodes `value`.
///
/// # Panics
/// If the value's own `Serialize` returns an error. That is a mistake in the program.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard())
        .unwrap_or_else(|error| panic!("{} can't be encoded: {error}", std::any::type_name::<T>()))
}

/// Decodes a `T`. It must use all of `bytes`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let name = std::any::type_name::<T>();
    match bincode::serde::decode_from_slice(bytes, bincode::config::standard()) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        Ok((_, read)) => Err(DecodeError(format!(
            "{} bytes are not a {name}: it ends after {read} of them",
            bytes.len()
        ))),
        Err(error) => Err(DecodeError(format!("{} bytes are not a {name}: {error}", bytes.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_is_an_error() {
        let bytes = encode(&(1u64, 2u64));
        assert_eq!(decode::<(u64, u64)>(&bytes), Ok((1, 2)));
        let error = decode::<u64>(&bytes).unwrap_err().to_string();
        assert!(error.contains("ends after 1"), "{error}");
        assert!(decode::<(u64, u64, u64)>(&bytes).is_err());
    }
}
