// Dates and times as ISO 8601 text, from the counts of days, seconds and parts of seconds that Arrow keeps them as.

#ifndef HISTSCAN_ISO_TIME_HPP
#define HISTSCAN_ISO_TIME_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace histscan {

// Room for the longest text: a year of twelve digits with its sign, and nine digits of a second.
constexpr size_t ISO_TEXT_SIZE = 64;

// Rounds towards minus infinity, as times before 1970 need it.
inline int64_t floor_divide(int64_t number, int64_t divisor) { return number / divisor - (number % divisor < 0); }

// The remainder of such a division: never negative.
inline int64_t floor_remainder(int64_t number, int64_t divisor) {
    const int64_t rest = number % divisor;
    return rest < 0 ? rest + divisor : rest;
}

// The date that lies so many days after 1970-01-01, by the Gregorian calendar carried on in both directions: counted
// in eras of 400 years that begin with a March, so that a leap day is a year's last.
inline size_t write_date(int64_t days, char *out) {
    constexpr int64_t era_days = 146097;
    const int64_t era = floor_divide(days, era_days);
    const int64_t day_of_era = days - era * era_days + 719468 % era_days;
    const int64_t late = day_of_era >= era_days;
    const int64_t day = day_of_era - late * era_days;
    const int64_t year_of_era = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    const int64_t day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const int64_t day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    const int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    const int64_t year = year_of_era + (era + late + 719468 / era_days) * 400 + (month <= 2);
    // Beyond four digits ISO 8601 requires a sign.
    const char *format = year >= 0 && year <= 9999 ? "%04lld-%02d-%02d" : "%+07lld-%02d-%02d";
    return static_cast<size_t>(std::snprintf(out, ISO_TEXT_SIZE, format, static_cast<long long>(year),
        static_cast<int>(month), static_cast<int>(day_of_month)));
}

// A time of day; no digits of a second where they are zero, otherwise six, or nine if it takes them.
inline size_t write_time(int64_t seconds, int64_t nanoseconds, char *out) {
    size_t length = static_cast<size_t>(std::snprintf(out, ISO_TEXT_SIZE, "%02d:%02d:%02d",
        static_cast<int>(seconds / 3600), static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60)));
    if (nanoseconds % 1000) {
        length += std::snprintf(out + length, 11, ".%09d", static_cast<int>(nanoseconds));
    } else if (nanoseconds) {
        length += std::snprintf(out + length, 8, ".%06d", static_cast<int>(nanoseconds / 1000));
    }
    return length;
}

// A time of day in units of which so many make a second; 0 if it is not valid.
inline size_t write_time_of_day(int64_t count, int64_t per_second, char *out) {
    const int64_t seconds = floor_divide(count, per_second);
    if (seconds < 0 || seconds >= 86400) return 0;
    return write_time(seconds, floor_remainder(count, per_second) * (1000000000 / per_second), out);
}

// A point in time; one in a known zone is given in UTC.
inline size_t write_timestamp(int64_t count, int64_t per_second, bool has_zone, char *out) {
    const int64_t seconds = floor_divide(count, per_second);
    const int64_t days = floor_divide(seconds, 86400);
    size_t length = write_date(days, out);
    out[length++] = 'T';
    length += write_time(
        floor_remainder(seconds, 86400), floor_remainder(count, per_second) * (1000000000 / per_second), out + length);
    if (has_zone) length += std::snprintf(out + length, 7, "+00:00");
    return length;
}

}  // namespace histscan

#endif
