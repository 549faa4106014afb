"""One format for times, with the name of the time zone: https://docs.djangoproject.com/en/stable/topics/i18n/formatting/"""

DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "N j, Y, P T"
