//! The schemas of frames, for the API's description: one for each type, by which frames are told apart.

use utoipa::ToSchema;
use utoipa::openapi::schema::{Discriminator, Schema};
use utoipa::openapi::{KnownFormat, ObjectBuilder, OneOfBuilder, Ref, RefOr, SchemaFormat, Type};

/// Schemas by their names.
pub(super) type Named = Vec<(String, RefOr<Schema>)>;

/// The schema of a type of frame.
pub(super) struct FrameSchema {
    name: &'static str,
    kind: &'static str,
    object: ObjectBuilder,
    /// What it refers to.
    others: Named,
}

impl FrameSchema {
    /// That of frames of the type `kind`, with nothing else in them.
    pub(super) fn new(name: &'static str, kind: &'static str, about: &str) -> Self {
        let object = ObjectBuilder::new().description(Some(about.trim()));
        let tag = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([kind]));
        Self { name, kind, object: object.property("type", tag).required("type"), others: Vec::new() }
    }

    /// With a time, and `T` as data.
    pub(super) fn telling<T: ToSchema>(mut self) -> Self {
        T::schemas(&mut self.others);
        self.others.push((T::name().into_owned(), T::schema()));
        let at = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("When it happened."));
        let data = Ref::from_schema_name(T::name());
        self.object = self.object.property("at", at).required("at").property("data", data).required("data");
        self
    }

    /// With a text.
    pub(super) fn saying(mut self, field: &str, about: &str) -> Self {
        let text = ObjectBuilder::new().schema_type(Type::String).description(Some(about));
        self.object = self.object.property(field, text).required(field);
        self
    }

    /// With a number that may be missing.
    pub(super) fn counting(mut self, field: &str, about: &str) -> Self {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0))
            .description(Some(about));
        self.object = self.object.property(field, number);
        self
    }

    fn reference(&self) -> Ref {
        Ref::from_schema_name(self.name)
    }
}

/// The schema of what is one of these frames.
pub(super) fn one_of(frames: &[FrameSchema], about: &str) -> RefOr<Schema> {
    let mapping = frames.iter().map(|frame| (frame.kind, frame.reference().ref_location));
    let one_of = OneOfBuilder::new()
        .description(Some(about))
        .discriminator(Some(Discriminator::with_mapping("type", mapping)));
    frames.iter().fold(one_of, |one_of, frame| one_of.item(frame.reference())).into()
}

/// Adds the schemas that [`one_of`] refers to, and what they refer to.
pub(super) fn add(frames: Vec<FrameSchema>, schemas: &mut Named) {
    for FrameSchema { name, object, others, .. } in frames {
        schemas.extend(others);
        schemas.push((name.to_owned(), object.into()));
    }
}
