"""The services with their store on a PostgreSQL server."""
import os

import psycopg2
from test_services import hospital, serve, whole_run  # noqa: F401

SERVER = os.environ["TEST_POSTGRES"]


def test_a_whole_service_run(hospital, serve):  # noqa: F811
    connection = psycopg2.connect(f"host={SERVER}/sock user=pixl dbname=postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS pixl_pipeline CASCADE")
    whole_run(hospital, serve, PIXL_STORE_URL=f"postgresql:///postgres?host={SERVER}/sock&user=pixl")
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, count(*) FROM pixl_pipeline.image GROUP BY 1 ORDER BY 1")
        assert cursor.fetchall() == [("exported", 6), ("missing", 1)]
        cursor.execute("SELECT name, rate_per_s FROM pixl_pipeline.bucket")
        assert cursor.fetchall() == [("primary", 50)]
