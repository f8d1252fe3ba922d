use serde::de::value::{BorrowedStrDeserializer, UsizeDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::list;
use super::{Entry, Error, Node, Segment, Value};
use crate::config::spanned;

impl Node {
    /// Makes a value of this, or says what is the first that is wrong with it.
    pub(in crate::config) fn read<'de, T: Deserialize<'de>>(&'de self) -> Result<T, Error> {
        T::deserialize(self)
    }

    /// What a reference to the environment stands for where something other than text is needed.
    fn expanded(&self) -> Option<Value> {
        let Value::Expanded(text) = &self.value else { return None };
        let truth = text.parse().map(Value::Bool).ok();
        truth.or_else(|| text.parse().map(Value::Integer).ok())
    }

    fn unexpected(&self) -> Unexpected<'_> {
        match &self.value {
            Value::Null | Value::Wrong => Unexpected::Unit,
            Value::Bool(truth) => Unexpected::Bool(*truth),
            Value::Integer(_) => Unexpected::Signed(0),
            Value::Float(number) => Unexpected::Float(*number),
            Value::Text(text) | Value::Expanded(text) => Unexpected::Str(text),
            Value::List(_) => Unexpected::Seq,
            Value::Table(_) => Unexpected::Map,
        }
    }
}

fn visit<'de, V: Visitor<'de>>(value: &'de Value, visitor: V) -> Result<V::Value, Error> {
    match value {
        Value::Null | Value::Wrong => visitor.visit_unit(),
        Value::Text(text) | Value::Expanded(text) => visitor.visit_borrowed_str(text),
        Value::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
        Value::Table(entries) => visitor.visit_map(Entries::new(entries)),
        scalar => visit_scalar(scalar, visitor),
    }
}

fn visit_scalar<'de, V: Visitor<'de>>(value: &Value, visitor: V) -> Result<V::Value, Error> {
    match *value {
        Value::Bool(truth) => visitor.visit_bool(truth),
        Value::Float(number) => visitor.visit_f64(number),
        Value::Integer(number) => match (u64::try_from(number), i64::try_from(number)) {
            (Ok(number), _) => visitor.visit_u64(number),
            (_, Ok(number)) => visitor.visit_i64(number),
            _ => Err(Error::invalid_value(Unexpected::Other("a number"), &visitor)),
        },
        _ => visitor.visit_unit(),
    }
}

/// What is asked for by its kind may be what a reference stands for.
macro_rules! scalars {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.expanded() {
                Some(value) => visit_scalar(&value, visitor),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visit(&self.value, visitor)
    }

    scalars! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match name {
            spanned::NAME => visitor.visit_seq(Parts { node: self, given: 0 }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.value {
            Value::Text(text) | Value::Expanded(text) => visitor.visit_enum(Alone(text)),
            Value::Table(entries) => {
                let mut sound = entries.iter().filter(|entry| !entry.node.is_wrong());
                match (sound.next(), sound.next()) {
                    (Some(entry), None) => visitor.visit_enum(Variant(entry)),
                    _ => Err(Error::custom(format_args!(
                        "expected a table with {}",
                        list(variants).replacen("one of", "exactly one of", 1)
                    ))),
                }
            }
            _ => {
                let wanted = list(variants);
                Err(Error::invalid_type(self.unexpected(), &wanted.as_str()))
            }
        }
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

/// The values of a list, by their places in the file.
struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Node>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some((index, item)) = self.0.find(|(_, item)| !item.is_wrong()) else {
            return Ok(None);
        };
        seed.deserialize(item).map(Some).map_err(|error| error.below(Segment::Index(index)))
    }
}

/// The keys and values of a table.
struct Entries<'de> {
    left: std::slice::Iter<'de, Entry>,
    last: Option<&'de Entry>,
}

impl<'de> Entries<'de> {
    fn new(entries: &'de [Entry]) -> Self {
        Self { left: entries.iter(), last: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.last = self.left.find(|entry| !entry.node.is_wrong());
        let Some(entry) = self.last else { return Ok(None) };
        let key = seed.deserialize(BorrowedStrDeserializer::new(&entry.key));
        key.map(Some).map_err(|error: Error| error.below(key_of(entry)))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(entry) = self.last else {
            return Err(Error::custom("a value without its key"));
        };
        seed.deserialize(&entry.node).map_err(|error| error.below(key_of(entry)))
    }
}

fn key_of(entry: &Entry) -> Segment {
    Segment::Key(entry.key.clone())
}

/// A table of one key, which says what the value is.
#[derive(Clone, Copy)]
struct Variant<'de>(&'de Entry);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let key = seed.deserialize(BorrowedStrDeserializer::new(&self.0.key));
        key.map(|key| (key, self)).map_err(|error: Error| error.below(key_of(self.0)))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Err(Error::custom(format_args!("`{}` stands alone, as a text", self.0.key)))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(&self.0.node).map_err(|error| error.below(key_of(self.0)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.node.deserialize_any(visitor).map_err(|error| error.below(key_of(self.0)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.node.deserialize_any(visitor).map_err(|error| error.below(key_of(self.0)))
    }
}

/// A text that says what the value is, and no more.
struct Alone<'de>(&'de str);

impl<'de> EnumAccess<'de> for Alone<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        seed.deserialize(BorrowedStrDeserializer::new(self.0)).map(|name| (name, self))
    }
}

impl Alone<'_> {
    /// The name is known to be one of those that there are.
    fn is_not_all<T>(&self) -> Result<T, Error> {
        Err(Error::custom(format_args!("`{}` needs a value: a table with this key", self.0)))
    }
}

impl<'de> VariantAccess<'de> for Alone<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Error> {
        self.is_not_all()
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        self.is_not_all()
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.is_not_all()
    }
}

/// Start and end of a value, and the value.
struct Parts<'de> {
    node: &'de Node,
    given: u8,
}

impl<'de> SeqAccess<'de> for Parts<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.given += 1;
        let place = |place: usize| -> UsizeDeserializer<Error> { place.into_deserializer() };
        match self.given {
            1 => seed.deserialize(place(self.node.span.start)).map(Some),
            2 => seed.deserialize(place(self.node.span.end)).map(Some),
            _ => seed.deserialize(self.node).map(Some),
        }
    }
}
