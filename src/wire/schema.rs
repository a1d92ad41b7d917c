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
