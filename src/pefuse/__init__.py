"""30-day mortality after acute pulmonary embolism, from CT pulmonary angiography and the patient's record."""

__version__ = "0.1.0"
