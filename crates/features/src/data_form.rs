//! Data forms (XEP-0004): built for what we ask and tell, read from what was submitted.

use xmpp::ns;
use xmpp::xml::Element;

/// Fields that a submitted form may have.
pub const FIELDS_MAX: usize = 64;
/// Values that a field of a submitted form may have.
pub const VALUES_MAX: usize = 1_000;

const FORM_TYPE: &str = "FORM_TYPE";

/// What a field holds (XEP-0004 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// Yes or no.
    Boolean,
    /// One address.
    JidSingle,
    /// Addresses.
    JidMulti,
    /// One of its options.
    ListSingle,
    /// Any of its options.
    ListMulti,
    /// Lines.
    TextMulti,
    /// A secret, one line.
    TextPrivate,
    /// One line.
    TextSingle,
}

impl FieldType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::JidSingle => "jid-single",
            Self::JidMulti => "jid-multi",
            Self::ListSingle => "list-single",
            Self::ListMulti => "list-multi",
            Self::TextMulti => "text-multi",
            Self::TextPrivate => "text-private",
            Self::TextSingle => "text-single",
        }
    }
}

/// A form to be filled out, or one that tells something; it becomes its element.
#[derive(Clone, Debug)]
pub struct Form(Element);

impl Form {
    /// A form to be filled out.
    pub fn asking(form_type: &str, title: &str, instructions: &str) -> Self {
        let text = |name, text: &str| Element::new(ns::DATA_FORMS, name).with_text(text);
        let form = Element::new(ns::DATA_FORMS, "x").attr("type", "form");
        let form = form.with_child(text("title", title)).with_child(text("instructions", instructions));
        Self(form.with_child(hidden(form_type)))
    }

    /// A form that says which fields there are, for programs that know them.
    pub fn offering(form_type: &str) -> Self {
        Self(Element::new(ns::DATA_FORMS, "x").attr("type", "form").with_child(hidden(form_type)))
    }

    /// A form that is filled out.
    pub fn submitting(form_type: &str) -> Self {
        Self(Element::new(ns::DATA_FORMS, "x").attr("type", "submit").with_child(hidden(form_type)))
    }

    /// A form that tells something.
    pub fn telling(form_type: &str) -> Self {
        Self(Element::new(ns::DATA_FORMS, "x").attr("type", "result").with_child(hidden(form_type)))
    }

    /// Asks for a field.
    #[must_use]
    pub fn ask(self, var: &str, ty: FieldType, label: &str, required: bool) -> Self {
        let field = field(var).attr("type", ty.as_str()).attr("label", label);
        let required = required.then(|| Element::new(ns::DATA_FORMS, "required"));
        Self(self.0.with_child(field.with_children(required)))
    }

    /// Offers a field.
    #[must_use]
    pub fn offer(self, var: &str, ty: FieldType) -> Self {
        Self(self.0.with_child(field(var).attr("type", ty.as_str())))
    }

    /// Offers a field with a word on its values (XEP-0122).
    #[must_use]
    pub fn offer_validated(self, var: &str, ty: FieldType, validate: Element) -> Self {
        Self(self.0.with_child(field(var).attr("type", ty.as_str()).with_child(validate)))
    }

    /// Asks to choose one of some options.
    #[must_use]
    pub fn choose(self, var: &str, label: &str, options: &[&str]) -> Self {
        let option =
            |text: &&str| Element::new(ns::DATA_FORMS, "option").attr("label", *text).with_child(value(text));
        let field = field(var).attr("type", FieldType::ListSingle.as_str()).attr("label", label);
        Self(self.0.with_child(field.with_children(options.iter().map(option))))
    }

    /// Tells a field's values.
    #[must_use]
    pub fn tell(self, var: &str, values: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let values = values.into_iter().map(|text| value(text.as_ref()));
        Self(self.0.with_child(field(var).with_children(values)))
    }

    /// Tells a field's values and what they are, as a form for programs needs where there may be several.
    #[must_use]
    pub fn tell_typed(
        self,
        var: &str,
        ty: FieldType,
        values: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let values = values.into_iter().map(|text| value(text.as_ref()));
        Self(self.0.with_child(field(var).attr("type", ty.as_str()).with_children(values)))
    }

    /// The form.
    pub fn into_element(self) -> Element {
        self.0
    }
}

/// A form that was filled out: fields by name, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submission(Vec<(String, Vec<String>)>);

impl Submission {
    /// Reads the form in an element; an empty one if there is none.
    pub fn inside(parent: &Element) -> Option<Self> {
        parent.child("x", ns::DATA_FORMS).map(Self::of)
    }

    /// Reads a form; what is beyond the limits is not there.
    pub fn of(form: &Element) -> Self {
        let fields = form.children().filter(|child| child.is("field", ns::DATA_FORMS)).take(FIELDS_MAX);
        Self(fields.filter_map(|field| Some((field.attribute("var")?.to_owned(), values(field)))).collect())
    }

    /// What the form is about (XEP-0068).
    pub fn form_type(&self) -> Option<&str> {
        self.first(FORM_TYPE)
    }

    /// All values of a field.
    pub fn all(&self, var: &str) -> &[String] {
        self.0.iter().find(|(name, _)| name == var).map_or(&[], |(_, values)| values)
    }

    /// The first value of a field, if it is not empty.
    pub fn first(&self, var: &str) -> Option<&str> {
        self.all(var).first().map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Names and values of the fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }
}

fn values(field: &Element) -> Vec<String> {
    let values = field.children().filter(|child| child.is("value", ns::DATA_FORMS));
    values.take(VALUES_MAX).map(Element::text).collect()
}

fn hidden(form_type: &str) -> Element {
    field(FORM_TYPE).attr("type", "hidden").with_child(value(form_type))
}

fn field(var: &str) -> Element {
    Element::new(ns::DATA_FORMS, "field").attr("var", var)
}

fn value(text: &str) -> Element {
    Element::new(ns::DATA_FORMS, "value").with_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_again() {
        let form = Form::telling("urn:x").tell("who", ["romeo", "juliet"]).tell("none", [""]).into_element();
        let read = Submission::of(&form);
        assert_eq!(read.form_type(), Some("urn:x"));
        assert_eq!(read.all("who"), ["romeo", "juliet"]);
        assert_eq!((read.first("none"), read.first("absent")), (None, None));
    }

    #[test]
    fn a_form_says_what_it_needs() {
        let form = Form::asking("urn:x", "Title", "Do").ask("jid", FieldType::JidSingle, "Who", true).choose(
            "max",
            "How many",
            &["25", "none"],
        );
        let text = String::from_utf8(form.into_element().to_bytes(ns::CLIENT)).unwrap();
        let expected = "<title>Title</title><instructions>Do</instructions>\
            <field var='FORM_TYPE' type='hidden'><value>urn:x</value></field>\
            <field var='jid' type='jid-single' label='Who'><required/></field>\
            <field var='max' type='list-single' label='How many'>\
            <option label='25'><value>25</value></option><option label='none'><value>none</value></option></field>";
        assert!(text.contains(&expected.replace("            ", "")), "{text}");
    }

    #[test]
    fn more_fields_than_allowed_are_not_read() {
        let fields = (0..=FIELDS_MAX).map(|at| field(&at.to_string()).with_child(value("x")));
        let read = Submission::of(&Element::new(ns::DATA_FORMS, "x").with_children(fields));
        assert_eq!(read.fields().count(), FIELDS_MAX);
    }
}
