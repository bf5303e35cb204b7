from django.urls import path

from examples.django_service import views

urlpatterns = [
    path("StockService/reserveItems", views.reserve_items),
    path("StockService/releaseItems", views.release_items),
    path("StockService/packParcel", views.pack_parcel),
    path("StockService/unpackParcel", views.unpack_parcel),
]
