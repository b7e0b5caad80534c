"""An explanation held against controls that know nothing."""
