//! The one mechanism behind all messages: a table of fields becomes a struct with both directions.

/// Defines messages and their nested structs, each as a table of fields.
///
/// ```text
/// schema! {
///     /// What it is.
///     pub struct ThingRequest<'a>(versions 0..=4, flexible 2) {   a message: versions, first
///         name: &'a str, 0..;                                     flexible one (or NEVER)
///         limit: i32, 1.., default -1;                            from version 1, else -1
///         parts: Option<Vec<Part<'a>>>, 0.., null 2..;            nullable from version 2
///         mood: Option<&'a str>, 3..=3, tag 0;                    tagged, in version 3 only
///     }
///
///     /// A nested struct follows the versions of the message that it is in.
///     pub struct Part<'a> {
///         text: &'a str, 0..;
///     }
/// }
/// ```
///
/// - A field is read and written in its versions; elsewhere it keeps its default, and what it
///   holds is dropped.
/// - The default is the type's, or what `default` says.
/// - An `Option` is nullable in all its versions, or in those that `null` names. Where it is not,
///   a null is refused on the way in and written as the empty value on the way out.
/// - A tagged field is written where it is not the default. Tags stand in ascending order.
/// - A struct without text or bytes has no lifetime parameter.
macro_rules! schema {
    (@item [$($meta:tt)*] [$vis:vis] $name:ident [$lt:lifetime] [$($generics:tt)*] [$($any:tt)*] {
        $($(#[$doc:meta])* $field:ident: $ty:ty, $versions:expr
            $(, null $null:expr)? $(, default $default:expr)? $(, tag $tag:literal)?;)*
    }) => {
        $($meta)*
        #[allow(clippy::struct_field_names, reason = "fields have Kafka's names")]
        #[derive(Clone, PartialEq, Eq, Debug)]
        $vis struct $name $($generics)* {
            $(
                #[doc = concat!("In versions `", stringify!($versions), "`.")]
                $(#[doc = concat!(" Null in versions `", stringify!($null), "`.")])?
                $(#[doc = concat!(" Default: `", stringify!($default), "`.")])?
                $(#[doc = concat!(" Tagged field ", stringify!($tag), ".")])?
                $(#[doc = ""] #[$doc])*
                $vis $field: $ty,
            )*
        }

        impl Default for $name $($any)* {
            #[inline]
            fn default() -> Self {
                Self { $($field: $crate::wire::schema!(@default [$($default)?]),)* }
            }
        }

        impl<$lt> $crate::wire::codec::Field<$lt> for $name $($generics)* {
            #[inline]
            fn min_size(version: $crate::wire::codec::Version) -> usize {
                usize::from(version.flexible)
                    $(+ $crate::wire::schema!(@min version ($versions) ($ty) [$($tag)?]))*
            }

            #[inline]
            fn read(
                reader: &mut $crate::wire::codec::Reader<$lt>,
                version: $crate::wire::codec::Version,
            ) -> Result<Self, $crate::wire::codec::DecodeError> {
                let mut this = Self::default();
                $($crate::wire::schema!(
                    @read this reader version $field ($versions) [$($null)?] [$($tag)?]
                );)*
                if version.flexible {
                    reader.tagged_fields(|tag, reader| {
                        let _ = (&tag, &reader);
                        $($(if tag == $tag && ($versions).contains(&version.number) {
                            this.$field = $crate::wire::codec::Field::read(reader, version)?;
                            return Ok(true);
                        })?)*
                        Ok(false)
                    })?;
                }
                Ok(this)
            }

            #[inline]
            fn write(
                &self,
                writer: &mut $crate::wire::codec::Writer<'_>,
                version: $crate::wire::codec::Version,
            ) {
                $($crate::wire::schema!(
                    @write self writer version $field ($versions) [$($null)?] [$($tag)?]
                );)*
                if version.flexible {
                    $crate::wire::schema!(
                        @tags self writer version [$($([$field $tag ($versions)])?)*]
                    );
                }
            }
        }

        impl<$lt> $crate::wire::codec::Nullable<$lt> for $name $($generics)* {
            fn read_nullable(
                reader: &mut $crate::wire::codec::Reader<$lt>,
                version: $crate::wire::codec::Version,
            ) -> Result<Option<Self>, $crate::wire::codec::DecodeError> {
                // Kafka takes every byte but a negative one for "present".
                if reader.i8()? < 0 {
                    return Ok(None);
                }
                $crate::wire::codec::Field::read(reader, version).map(Some)
            }

            fn write_nullable(
                value: Option<&Self>,
                writer: &mut $crate::wire::codec::Writer<'_>,
                version: $crate::wire::codec::Version,
            ) {
                match value {
                    None => writer.i8(-1),
                    Some(value) => {
                        writer.i8(1);
                        $crate::wire::codec::Field::write(value, writer, version);
                    }
                }
            }

            fn write_empty(
                writer: &mut $crate::wire::codec::Writer<'_>,
                version: $crate::wire::codec::Version,
            ) {
                $crate::wire::codec::Field::write(&Self::default(), writer, version);
            }
        }
    };

    (@message $name:ident [$lt:lifetime] [$($generics:tt)*]
        versions $versions:expr, flexible $flexible:expr) => {
        impl $($generics)* $crate::wire::codec::Message<$lt> for $name $($generics)* {
            const VERSIONS: std::ops::RangeInclusive<i16> = $versions;
            const FLEXIBLE_FROM: i16 = $flexible;
        }
    };

    (@default []) => { Default::default() };
    (@default [$default:expr]) => { $default };

    (@min $version:ident ($versions:expr) ($ty:ty) [$tag:literal]) => { 0 };
    (@min $version:ident ($versions:expr) ($ty:ty) []) => {
        if ($versions).contains(&$version.number) {
            <$ty as $crate::wire::codec::Field<'_>>::min_size($version)
        } else {
            0
        }
    };

    (@read $this:ident $reader:ident $version:ident $field:ident ($versions:expr)
        [$($null:expr)?] [$tag:literal]) => {};
    (@read $this:ident $reader:ident $version:ident $field:ident ($versions:expr) [] []) => {
        if ($versions).contains(&$version.number) {
            $this.$field = $crate::wire::codec::Field::read($reader, $version)?;
        }
    };
    (@read $this:ident $reader:ident $version:ident $field:ident ($versions:expr)
        [$null:expr] []) => {
        if ($versions).contains(&$version.number) {
            $this.$field = if ($null).contains(&$version.number) {
                $crate::wire::codec::Field::read($reader, $version)?
            } else {
                Some($crate::wire::codec::Field::read($reader, $version)?)
            };
        }
    };

    (@write $this:ident $writer:ident $version:ident $field:ident ($versions:expr)
        [$($null:expr)?] [$tag:literal]) => {};
    (@write $this:ident $writer:ident $version:ident $field:ident ($versions:expr) [] []) => {
        if ($versions).contains(&$version.number) {
            $crate::wire::codec::Field::write(&$this.$field, $writer, $version);
        }
    };
    (@write $this:ident $writer:ident $version:ident $field:ident ($versions:expr)
        [$null:expr] []) => {
        if ($versions).contains(&$version.number) {
            $crate::wire::codec::write_present(
                $this.$field.as_ref(), ($null).contains(&$version.number), $writer, $version,
            );
        }
    };

    (@tags $this:ident $writer:ident $version:ident []) => { $writer.uvarint(0) };
    (@tags $this:ident $writer:ident $version:ident
        [$([$field:ident $tag:literal ($versions:expr)])+]) => {
        let default = Self::default();
        $writer.uvarint(0 $(+ u32::from(
            ($versions).contains(&$version.number) && $this.$field != default.$field
        ))+);
        $(if ($versions).contains(&$version.number) && $this.$field != default.$field {
            $writer.tagged($tag, |writer| {
                $crate::wire::codec::Field::write(&$this.$field, writer, $version);
            });
        })+
    };

    () => {};
    ($(#[$meta:meta])* $vis:vis struct $name:ident<$lt:lifetime> $(($($message:tt)*))?
        { $($fields:tt)* } $($rest:tt)*) => {
        $crate::wire::schema!(
            @item [$(#[$meta])*] [$vis] $name [$lt] [<$lt>] [<'_>] { $($fields)* }
        );
        $($crate::wire::schema!(@message $name [$lt] [<$lt>] $($message)*);)?
        $crate::wire::schema!($($rest)*);
    };
    ($(#[$meta:meta])* $vis:vis struct $name:ident $(($($message:tt)*))?
        { $($fields:tt)* } $($rest:tt)*) => {
        $crate::wire::schema!(
            @item [$(#[$meta])*] [$vis] $name ['de] [] [] { $($fields)* }
        );
        $($crate::wire::schema!(@message $name ['_] [] $($message)*);)?
        $crate::wire::schema!($($rest)*);
    };
}

pub(crate) use schema;

#[cfg(test)]
mod tests {
    use crate::ids::TopicId;
    use crate::wire::codec::{DecodeError, Message, NEVER, Writer};

    schema! {
        /// A stored record: versions and encoding of its own, no API.
        pub(crate) struct Value<'a>(versions 0..=4, flexible 4) {
            offset: i64, 0..;
            leader_epoch: i32, 3.., default -1;
            metadata: &'a str, 0..;
            expire_timestamp: i64, 1..=1, default -1;
            topic_id: TopicId, 4.., tag 0;
            classic: Option<Classic<'a>>, 4.., tag 2;
        }

        /// A struct that may be null.
        pub(crate) struct Classic<'a> {
            timeout_ms: i32, 0..;
            protocols: Vec<&'a [u8]>, 0..;
        }

        /// A key: never flexible, no lifetime.
        pub(crate) struct Key(versions 1..=1, flexible NEVER) {
            partition: i32, 1..;
            reserved: Option<Reserved>, 1..;
        }

        /// A struct that has nothing yet in version 1.
        pub(crate) struct Reserved {
            number: i8, 2..;
        }
    }

    fn encode<'a, M: Message<'a>>(message: &M, version: i16) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        message.encode(&mut writer, version);
        writer.finish().unwrap();
        out
    }

    #[test]
    fn fields_are_read_and_written_in_their_versions_only() {
        let value = Value {
            offset: 1,
            leader_epoch: 2,
            metadata: "m",
            ..Value::default()
        };
        let expiring = Value {
            expire_timestamp: 9,
            ..value.clone()
        };
        assert_eq!(encode(&expiring, 0), b"\0\0\0\0\0\0\0\x01\0\x01m");
        assert_eq!(
            encode(&expiring, 1),
            b"\0\0\0\0\0\0\0\x01\0\x01m\0\0\0\0\0\0\0\x09"
        );
        assert_eq!(encode(&expiring, 3), b"\0\0\0\0\0\0\0\x01\0\0\0\x02\0\x01m");
        assert_eq!(encode(&expiring, 4), b"\0\0\0\0\0\0\0\x01\0\0\0\x02\x02m\0");
        assert_eq!(Value::decode_exact(&encode(&expiring, 4), 4), Ok(value));
    }

    #[test]
    fn tagged_fields_are_written_where_they_are_not_the_default() {
        let protocols = vec![&b"x"[..]; 100];
        let value = Value {
            topic_id: TopicId([1; 16]),
            classic: Some(Classic {
                timeout_ms: 7,
                protocols,
            }),
            ..Value::default()
        };
        let bytes = encode(&value, 4);
        // Offset, epoch, text; two tags; the second one's size (207) takes two bytes.
        assert_eq!(bytes[13..15], [2, 0]);
        assert_eq!(bytes[15], 16);
        assert_eq!(bytes[32..41], [2, 0xcf, 1, 1, 0, 0, 0, 7, 101]);
        assert_eq!(Value::decode_exact(&bytes, 4), Ok(value.clone()));
        assert_eq!(
            Value::decode_exact(&encode(&value, 3), 3),
            Ok(Value::default())
        );
    }

    #[test]
    fn a_tagged_field_is_filled_by_its_value_and_the_last_of_two_counts() {
        let mut bytes = encode(&Value::default(), 4);
        bytes.pop();
        let tags = |tags: &[u8]| [&bytes[..], tags].concat();
        let twice = [&[2, 0, 16][..], &[1; 16], &[0, 16], &[2; 16]].concat();
        let read = Value::decode_exact(&tags(&twice), 4).map(|value| value.topic_id);
        assert_eq!(read, Ok(TopicId([2; 16])));
        let loose = [&[1, 0, 17][..], &[1; 17]].concat();
        assert_eq!(
            Value::decode_exact(&tags(&loose), 4),
            Err(DecodeError::TagSize { tag: 0, left: 1 })
        );
    }

    #[test]
    fn a_struct_is_null_by_its_first_byte() {
        let key = Key {
            partition: 3,
            reserved: None,
        };
        assert_eq!(encode(&key, 1), b"\0\0\0\x03\xff");
        assert_eq!(Key::decode_exact(b"\0\0\0\x03\xff", 1), Ok(key));
        let key = Key {
            partition: 3,
            reserved: Some(Reserved::default()),
        };
        assert_eq!(Key::decode_exact(&encode(&key, 1), 1), Ok(key));
        assert_eq!(Key::decode_exact(b"", 0), Err(DecodeError::Version(0)));
    }
}
