-- The events of an OMOP CDM (5.3, 5.4) as the view `imported`. All columns of the tables are text here.
-- When a fact became known: a mere date, which many exports write as midnight, is known when its day is over; a
-- diagnosis of a visit, which is often coded at its end, when the visit is.

CREATE MACRO moment(text) AS try_cast(nullif(trim(text), '') AS TIMESTAMP);
CREATE MACRO known_at(date_text, time_text) AS (
    CASE WHEN moment(time_text) IS NOT NULL AND CAST(moment(time_text) AS TIME) <> TIME '00:00:00'
         THEN moment(time_text)
         ELSE date_trunc('day', coalesce(moment(time_text), moment(date_text))) + INTERVAL 1 DAY END
);
CREATE MACRO id(text) AS try_cast(nullif(trim(text), '') AS BIGINT);
CREATE MACRO words(text) AS nullif(trim(text), '');
CREATE MACRO system(vocabulary) AS upper(regexp_replace(vocabulary, '[^A-Za-z0-9]', '', 'g'));

-- `concept_id`, and how a code of it is written: LOINC//8867-4
CREATE TABLE named AS
SELECT id(concept_id) AS concept_id, words(concept_name) AS name, system(vocabulary_id) AS system,
       system(vocabulary_id) || '//' || words(concept_code) AS code, words(concept_code) AS short
FROM concept WHERE id(concept_id) > 0;

CREATE TABLE visits AS
SELECT id(visit_occurrence_id) AS visit, id(person_id) AS person, id(visit_concept_id) AS kind,
       known_at(visit_start_date, visit_start_datetime) AS began, known_at(visit_end_date, visit_end_datetime) AS ended
FROM visit_occurrence;

CREATE VIEW stays AS
SELECT person, kind, began, ended FROM visits
UNION ALL
SELECT id(person_id), id(visit_detail_concept_id), known_at(visit_detail_start_date, visit_detail_start_datetime),
       known_at(visit_detail_end_date, visit_detail_end_datetime)
FROM visit_detail
-- A ward within a stay is no stay of its own; intensive care is.
WHERE id(visit_detail_concept_id) IN (SELECT concept_id FROM settings WHERE setting = 'ICU');

CREATE VIEW visit_events AS
SELECT person AS subject_id, began AS time, 'VISIT//' || setting || '//START' AS code, ended
FROM (SELECT person, began, ended, coalesce(settings.setting, named.name) AS setting
      FROM stays LEFT JOIN settings ON kind = settings.concept_id LEFT JOIN named ON kind = named.concept_id)
WHERE setting IS NOT NULL AND setting <> 'OUTPATIENT'
UNION ALL
SELECT person, began, 'VISIT//OUTPATIENT', NULL FROM stays JOIN settings ON kind = concept_id
WHERE setting = 'OUTPATIENT';

-- Conditions: ICD where the source coded in it, else what the concept is.
-- Without the vocabulary's rows, ICD-9-CM's concepts are known by their numbers.
CREATE VIEW conditions AS
SELECT id(person_id) AS subject_id,
       greatest(known_at(condition_start_date, condition_start_datetime), visits.ended) AS time,
       CASE WHEN source.system IN ('ICD9CM', 'ICD10CM', 'ICD10') THEN source.code
            WHEN source.system IS NULL AND words(condition_source_value) IS NOT NULL
                 AND regexp_matches(trim(condition_source_value), '^[A-Z]?[0-9][0-9A-Z.]{2,7}$')
                 AND id(condition_source_concept_id) > 0
            THEN CASE WHEN id(condition_source_concept_id) BETWEEN 44818000 AND 44838999 THEN 'ICD9CM//'
                      ELSE 'ICD10CM//' END || trim(condition_source_value)
            WHEN standard.code IS NOT NULL THEN standard.code
            WHEN source.code IS NOT NULL THEN source.code
            WHEN id(condition_concept_id) > 0 THEN 'OMOP_CONDITION//' || id(condition_concept_id)
            ELSE 'OMOP_CONDITION//' || words(condition_source_value) END AS code,
       coalesce(standard.name, source.name) AS name
FROM condition_occurrence
LEFT JOIN named AS standard ON id(condition_concept_id) = standard.concept_id
LEFT JOIN named AS source ON id(condition_source_concept_id) = source.concept_id
LEFT JOIN visits ON id(visit_occurrence_id) = visits.visit;

-- Drugs: given in a stay, or else at home. Prescriptions, dispensings and lists are of home (38000175 to 38000178,
-- 32825, 32865, 32869) whatever the visit; administrations (38000180, 43542358, 32818) of the hospital.
CREATE VIEW drugs AS
SELECT id(person_id) AS subject_id, known_at(drug_exposure_start_date, drug_exposure_start_datetime) AS time,
       coalesce(standard.code, 'OMOP_DRUG//' || nullif(id(drug_concept_id), 0), source.code,
                'OMOP_DRUG//' || words(drug_source_value)) AS drug,
       CASE WHEN id(drug_type_concept_id) IN (38000175, 38000176, 38000177, 38000178, 32825, 32865, 32869) THEN 'OUT'
            WHEN id(drug_type_concept_id) IN (38000180, 43542358, 32818)
                 OR visits.kind IN (SELECT concept_id FROM settings WHERE setting <> 'OUTPATIENT') THEN 'IN'
            ELSE 'OUT' END AS place,
       coalesce(standard.name, source.name, words(drug_source_value)) AS name
FROM drug_exposure
LEFT JOIN named AS standard ON id(drug_concept_id) = standard.concept_id
LEFT JOIN named AS source ON id(drug_source_concept_id) = source.concept_id
LEFT JOIN visits ON id(visit_occurrence_id) = visits.visit;

CREATE VIEW measured AS
SELECT id(person_id) AS subject_id, known_at(measurement_date, measurement_datetime) AS time,
       coalesce(standard.code, 'OMOP_MEASUREMENT//' || nullif(id(measurement_concept_id), 0), source.code,
                'OMOP_MEASUREMENT//' || words(measurement_source_value)) AS test,
       coalesce(unit.short, words(unit_source_value)) AS unit,
       try_cast(words(value_as_number) AS DOUBLE) AS number,
       CASE WHEN words(value_as_number) IS NULL THEN coalesce(answer.name, words(value_source_value)) END AS text,
       coalesce(standard.name, source.name, words(measurement_source_value)) AS name
FROM measurement
LEFT JOIN named AS standard ON id(measurement_concept_id) = standard.concept_id
LEFT JOIN named AS source ON id(measurement_source_concept_id) = source.concept_id
LEFT JOIN named AS unit ON id(unit_concept_id) = unit.concept_id
LEFT JOIN named AS answer ON id(value_as_concept_id) = answer.concept_id;

CREATE VIEW observed AS
SELECT id(person_id) AS subject_id, known_at(observation_date, observation_datetime) AS time,
       coalesce(standard.code, 'OMOP//' || nullif(id(observation_concept_id), 0), source.code,
                'OMOP//' || words(observation_source_value)) AS fact,
       try_cast(words(value_as_number) AS DOUBLE) AS number,
       coalesce(answer.name, words(value_as_string)) AS text,
       coalesce(standard.name, source.name, words(observation_source_value)) AS name
FROM observation
LEFT JOIN named AS standard ON id(observation_concept_id) = standard.concept_id
LEFT JOIN named AS source ON id(observation_source_concept_id) = source.concept_id
LEFT JOIN named AS answer ON id(value_as_concept_id) = answer.concept_id;

CREATE VIEW procedures AS
SELECT id(person_id) AS subject_id, known_at(procedure_date, procedure_datetime) AS time,
       coalesce(standard.code, nullif(id(procedure_concept_id), 0)::VARCHAR, source.code,
                words(procedure_source_value)) AS code,
       coalesce(standard.name, source.name, words(procedure_source_value)) AS name
FROM procedure_occurrence
LEFT JOIN named AS standard ON id(procedure_concept_id) = standard.concept_id
LEFT JOIN named AS source ON id(procedure_source_concept_id) = source.concept_id;

CREATE VIEW facts AS
SELECT id(person_id) AS subject_id,
       CASE WHEN words(birth_datetime) IS NOT NULL AND moment(birth_datetime) IS NOT NULL
            THEN strftime(moment(birth_datetime), '%Y-%m-%d')
            -- Only the year: its middle, which is off by half a year at most.
            WHEN id(year_of_birth) IS NULL THEN coalesce(words(year_of_birth), '')
            ELSE printf('%04d-%02d-%02d', id(year_of_birth), coalesce(id(month_of_birth), 7),
                        coalesce(id(day_of_birth), 1)) END AS birth_date,
       CASE WHEN id(gender_concept_id) = 8532 OR upper(trim(gender_source_value)) IN ('F', 'FEMALE') THEN 'F'
            WHEN id(gender_concept_id) = 8507 OR upper(trim(gender_source_value)) IN ('M', 'MALE') THEN 'M'
            ELSE '' END AS sex,
       coalesce(race.name, words(race_source_value)) AS race,
       coalesce(ethnicity.name, words(ethnicity_source_value)) AS ethnicity
FROM person
LEFT JOIN named AS race ON id(race_concept_id) = race.concept_id
LEFT JOIN named AS ethnicity ON id(ethnicity_concept_id) = ethnicity.concept_id;

CREATE VIEW coded AS
SELECT subject_id, time, code, NULL::DOUBLE AS number, NULL::VARCHAR AS text, name, 'diagnosis' AS kind FROM conditions
UNION ALL
SELECT subject_id, time, split_part(drug, '//', 1) || '//' || place || '//' || split_part(drug, '//', 2), NULL, NULL,
       name || CASE place WHEN 'IN' THEN ' (inpatient)' ELSE ' (outpatient)' END, 'medication' FROM drugs
UNION ALL
SELECT subject_id, time, test || coalesce('//' || unit, ''), number, text, name, 'lab' FROM measured
UNION ALL
SELECT subject_id, time, 'OBSERVATION//' || fact, number, text, name,
       CASE WHEN number IS NULL THEN 'observation' ELSE 'lab' END FROM observed
UNION ALL
SELECT subject_id, time, 'PROCEDURE//' || code, NULL, NULL, name, 'procedure' FROM procedures;

CREATE VIEW imported AS
SELECT subject_id, time, code, number AS numeric_value, text AS text_value FROM coded WHERE time IS NOT NULL
UNION ALL
SELECT subject_id, time, code, NULL, NULL FROM visit_events WHERE time IS NOT NULL
UNION ALL
SELECT subject_id, ended, replace(code, '//START', '//END'), NULL, NULL FROM visit_events WHERE ended IS NOT NULL
UNION ALL
SELECT subject_id, NULL, 'RACE//' || race, NULL, NULL FROM facts WHERE race IS NOT NULL
UNION ALL
SELECT subject_id, NULL, 'ETHNICITY//' || ethnicity, NULL, NULL FROM facts WHERE ethnicity IS NOT NULL;
